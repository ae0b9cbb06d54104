"use strict";
(() => {
  // Text comes out of images: it is only ever set as text, never as markup.
  const make = (tag, attributes = {}, ...children) => {
    const e = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
      else if (name.startsWith("aria-")) e.setAttribute(name, String(value));
      else if (value === true) e.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) e.setAttribute(name, value);
    }
    e.append(...children.filter((c) => c !== null));
    return e;
  };

  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  const bytes = (n) => {
    let v = Math.abs(n), u = 0;
    while (v >= 999.95 && u < units.length - 1) { v /= 1000; u++; }
    return (n < 0 ? "\u2212" : "") + (u ? v.toFixed(1) : String(v)) + " " + units[u];
  };
  const signed = (n) => (n > 0 ? "+" : "") + bytes(n);
  const count = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const plural = (n, noun) => count(n) + " " + noun + (n === 1 ? "" : "s");
  const percent = (part, whole) => whole > 0 ? (100 * part / whole).toFixed(1) + " %" : "";

  // ---- theme -------------------------------------------------------------
  const root = document.documentElement;
  const redraws = [];
  const redraw = () => redraws.forEach((f) => f());
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const store = {
    get: () => { try { return localStorage.getItem("image-budget-theme"); } catch { return null; } },
    set: (v) => { try { localStorage.setItem("image-budget-theme", v); } catch { /* a file may have no storage */ } },
  };
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
  const themeButton = make("button", { type: "button", id: "theme", onclick: () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    store.set(root.dataset.theme);
    nameTheme();
    redraw();
  } });
  const nameTheme = () => { themeButton.textContent = isDark() ? "Light theme" : "Dark theme"; };
  const stored = store.get();
  if (stored === "dark" || stored === "light") root.dataset.theme = stored;
  nameTheme();
  dark.addEventListener("change", () => { nameTheme(); redraw(); });
  document.getElementById("tools").append(themeButton);

  // ---- tables ------------------------------------------------------------
  const firstRows = 20;

  function enhance(table) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const columns = [...table.tHead.rows[0].cells];
    let order = rows, wanted = "", group = "", all = rows.length <= firstRows + 5, sorted = -1, down = false;
    const texts = rows.map((r) => r.textContent.toLowerCase());
    const key = (row, i) => row.cells[i].dataset.v !== undefined ? Number(row.cells[i].dataset.v) : row.cells[i].textContent.toLowerCase();
    const place = new Map(rows.map((r, i) => [r, i]));
    const counter = make("span", { class: "words", "aria-live": "polite" });
    const more = make("button", { type: "button", class: "more", onclick: () => { all = true; show(); } });

    function show() {
      const fitting = order.filter((r) => (!wanted || texts[place.get(r)].includes(wanted)) && (!group || r.cells[0].textContent === group));
      const shown = all ? fitting : fitting.slice(0, firstRows);
      body.replaceChildren(...shown);
      more.hidden = shown.length === fitting.length;
      more.textContent = "Show all " + count(fitting.length);
      counter.textContent = wanted || group ? count(fitting.length) + " of " + plural(rows.length, "row") : plural(rows.length, "row");
    }

    columns.forEach((th, i) => {
      const name = th.textContent;
      const numeric = th.classList.contains("num") || th.classList.contains("bar");
      th.replaceChildren(make("button", { type: "button", onclick: () => {
        down = sorted === i ? !down : numeric;
        sorted = i;
        columns.forEach((c, j) => { if (j === i) c.setAttribute("aria-sort", down ? "descending" : "ascending"); else c.removeAttribute("aria-sort"); });
        const keys = new Map(rows.map((r) => [r, key(r, i)]));
        order = [...rows].sort((a, b) => {
          const x = keys.get(a), y = keys.get(b);
          const c = typeof x === "number" ? x - y : x < y ? -1 : x > y ? 1 : 0;
          return (down ? -c : c) || place.get(a) - place.get(b);
        });
        show();
      } }, name));
    });

    // With buttons in its head the table needs no stop of its own for the keyboard.
    table.parentElement.removeAttribute("tabindex");
    const bar = make("div", { class: "tablebar" });
    if (table.hasAttribute("data-search") && rows.length > 5) {
      bar.append(make("input", { type: "search", class: "search", placeholder: "Search these rows", "aria-label": "Search in this table", oninput: (e) => { wanted = e.target.value.trim().toLowerCase(); show(); } }));
    }
    if (table.hasAttribute("data-filter")) {
      const groups = [...new Set(rows.map((r) => r.cells[0].textContent))].sort();
      if (groups.length > 1) {
        const name = columns[0].textContent;
        bar.append(make("select", { class: "filter", "aria-label": "Show only one " + name, onchange: (e) => { group = e.target.value; show(); } },
          make("option", { value: "" }, "every " + name), ...groups.map((g) => make("option", { value: g }, g))));
      }
    }
    if (bar.children.length) {
      bar.append(counter);
      table.parentElement.before(bar);
    }
    table.parentElement.after(more);
    show();
  }
  document.querySelectorAll("table.data").forEach(enhance);

  // ---- the tree ----------------------------------------------------------
  // Nodes are numbered as they are written: a directory, then all that is in it.
  function decode(t) {
    let n = 1;
    for (let i = 1; i < t.dirs.length; i += 2) n += t.dirs[i];
    const tree = {
      n, names: n > 1 ? t.names.split("/") : [], parent: new Int32Array(n).fill(-1), end: new Int32Array(n), isDir: new Uint8Array(n),
      size: new Float64Array(n), old: t.old ? new Float64Array(n) : null, area: new Float64Array(n), files: new Float64Array(n),
      owner: spread(t.owners, n), layer: spread(t.layers, n), change: spread(t.changes, n), sorted: new Map(),
    };
    tree.names.unshift("/");
    const leaves = { owner: runs(t.owners), layer: runs(t.layers), change: runs(t.changes) };
    const open = [], left = [];
    let leaf = 0, nameless = 0, d = 0, nextDir = 0;
    for (let i = 0; i < n; i++) {
      if (open.length) {
        tree.parent[i] = open[open.length - 1];
        left[left.length - 1]--;
      }
      if (i === nextDir) {
        tree.isDir[i] = 1;
        open.push(i);
        left.push(t.dirs[2 * d + 1]);
        d++;
        nextDir = 2 * d < t.dirs.length ? i + t.dirs[2 * d] : -1;
      } else {
        tree.size[i] = t.sizes[leaf];
        if (tree.old) tree.old[i] = t.old[leaf];
        tree.area[i] = tree.old ? Math.abs(t.sizes[leaf] - t.old[leaf]) : t.sizes[leaf];
        tree.files[i] = tree.names[i] === "" ? t.counts[nameless++] : 1;
        for (const k in leaves) if (tree[k]) tree[k][i] = leaves[k]();
        leaf++;
      }
      tree.end[i] = i + 1;
      while (open.length && left[left.length - 1] === 0) {
        tree.end[open.pop()] = i + 1;
        left.pop();
      }
    }
    for (let i = n - 1; i > 0; i--) {
      const up = tree.parent[i];
      tree.area[up] += tree.area[i];
      tree.size[up] += tree.size[i];
      if (tree.old) tree.old[up] += tree.old[i];
      tree.files[up] += tree.files[i];
    }
    return tree;
  }
  const spread = (list, n) => list ? new Int32Array(n) : null;
  const runs = (list) => {
    let at = -2, rest = 0;
    return () => {
      if (rest === 0) { at += 2; rest = list[at + 1]; }
      rest--;
      return list[at];
    };
  };

  // The children of a directory that have an area, the largest first.
  function children(tree, dir) {
    let list = tree.sorted.get(dir);
    if (!list) {
      list = [];
      for (let c = dir + 1; c < tree.end[dir]; c = tree.end[c]) if (tree.area[c] > 0) list.push(c);
      list.sort((a, b) => tree.area[b] - tree.area[a] || a - b);
      tree.sorted.set(dir, list);
    }
    return list;
  }

  function pathOf(tree, i) {
    const parts = [];
    for (let at = i; at > 0; at = tree.parent[at]) parts.push(tree.names[at] || (tree.old ? plural(tree.files[at], "file") : "(" + plural(tree.files[at], "file") + ")"));
    return "/" + parts.reverse().join("/");
  }

  // ---- layout ------------------------------------------------------------
  const smallest = 20; // square pixels: what is smaller is drawn as one block
  const header = 17, pad = 2;

  function layout(tree, dir, width, height) {
    const cells = [];
    const work = [[dir, 0, 0, width, height, 0]];
    while (work.length) {
      const [at, x, y, w, h, depth] = work.pop();
      const list = children(tree, at);
      squarify(tree, list, tree.area[at], x, y, w, h, (node, cx, cy, cw, ch, rest) => {
        const cell = { node, x: cx, y: cy, w: cw, h: ch, depth, rest, open: false, label: "" };
        cells.push(cell);
        if (rest || !tree.isDir[node]) return;
        // A directory with nothing in it but a directory is drawn as one.
        let inner = node, label = tree.names[node];
        for (let only = children(tree, inner); only.length === 1 && tree.isDir[only[0]]; only = children(tree, inner)) {
          inner = only[0];
          if (label.length < 200) label += "/" + tree.names[inner];
        }
        cell.label = label + "/";
        cell.inner = inner;
        const top = cw >= 44 && ch >= 34 ? header : pad;
        if (cw < 14 || ch < 14 || tooFine(tree, inner, cw * ch)) return;
        cell.open = true;
        cell.titled = top === header;
        work.push([inner, cx + pad, cy + top, cw - 2 * pad, ch - top - pad, depth + 1]);
      });
    }
    return cells;
  }

  // A directory of things too small to draw is drawn as one block.
  function tooFine(tree, dir, pixels) {
    const scale = pixels / tree.area[dir];
    let seen = 0;
    for (const c of children(tree, dir)) {
      if (tree.area[c] * scale < smallest) break;
      seen += tree.area[c];
    }
    return seen < tree.area[dir] / 2;
  }

  // Squarified treemap after Bruls, Huizing and van Wijk: rows along the shorter
  // side, each as long as its worst cell becomes more like a square.
  function squarify(tree, list, total, x, y, w, h, emit) {
    if (w <= 0 || h <= 0 || !(total > 0)) return;
    const scale = w * h / total;
    let n = list.length, tail = 0;
    while (n > 1 && tree.area[list[n - 1]] * scale < smallest) tail += tree.area[list[--n]];
    const items = n + (tail > 0 ? 1 : 0);
    const area = (i) => (i < n ? tree.area[list[i]] : tail) * scale;
    let i = 0;
    while (i < items) {
      const side = Math.min(w, h);
      if (side <= 0) return;
      let sum = 0, least = Infinity, most = 0, worst = Infinity, j = i;
      for (; j < items; j++) {
        const a = area(j), s = sum + a, lo = Math.min(least, a), hi = Math.max(most, a);
        const ratio = Math.max(side * side * hi / (s * s), s * s / (side * side * lo));
        if (ratio > worst) break;
        worst = ratio; sum = s; least = lo; most = hi;
      }
      const thick = Math.min(sum / side, Math.max(w, h));
      let along = w >= h ? y : x;
      for (; i < j; i++) {
        const length = area(i) / thick, rest = i >= n ? { list, from: n, area: tail } : null;
        const node = rest ? list[n] : list[i];
        if (w >= h) emit(node, x, along, thick, length, rest); else emit(node, along, y, length, thick, rest);
        along += length;
      }
      if (w >= h) { x += thick; w -= thick; } else { y += thick; h -= thick; }
    }
  }

  // ---- colours -----------------------------------------------------------
  // After Okabe and Ito, and Tol: told apart by people who see few colours.
  const palette = ["#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#f0e442", "#882255", "#44aa99", "#999933", "#332288", "#aa4499"];
  const fixed = {
    application: "#e69f00", base: "#8a94a6", unowned: "#d55e00",
    same: "#9aa3b2", new: "#d55e00", grown: "#e69f00", shrunk: "#56b4e9", gone: "#0072b2", "other content, same size": "#cc79a7", "in a directory that changed": "#f0e442",
  };
  const baseLayers = ["#7c889c", "#a3adbd", "#616c80"];
  const ink = (color) => {
    const [r, g, b] = [1, 3, 5].map((i) => { const v = parseInt(color.slice(i, i + 2), 16) / 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b > .179 ? "#000000" : "#ffffff";
  };
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  // Every way of colouring: the groups of its legend, and which of them a node is in.
  function modes(data, tree, comparing) {
    const out = [];
    if (!comparing && tree.owner && data.owners) {
      let next = 0;
      const groups = data.owners.map((g) => ({ ...g, color: fixed[g.kind] || palette[next++ % palette.length] }));
      out.push({ name: "owner", groups, of: (i) => tree.owner[i] > 0 ? data.groups[tree.owner[i] - 1] ?? 0 : data.owner_groups[-tree.owner[i]] });
    }
    if (comparing) {
      const names = ["new", "grown", "shrunk", "gone"];
      const of = (i) => tree.old[i] === 0 ? 0 : tree.size[i] === 0 ? 3 : tree.size[i] >= tree.old[i] ? 1 : 2;
      const sums = [0, 0, 0, 0];
      for (let i = 0; i < tree.n; i++) if (!tree.isDir[i]) sums[of(i)] += tree.size[i] - tree.old[i];
      out.push({ name: "change", groups: names.map((name, i) => ({ name, bytes: sums[i], color: fixed[name] })), of });
    } else if (tree.change && data.kinds) {
      out.push({ name: "change", groups: data.kinds.map((g) => ({ ...g, color: fixed[g.kind] })), of: (i) => tree.change[i] });
    }
    if (tree.layer && data.layers && data.layers.length) {
      let own = 0, base = 0;
      const groups = data.layers.map((g) => ({ ...g, color: g.kind === "base" ? baseLayers[base++ % 3] : ["#e69f00", ...palette][own++ % 11] }));
      groups.push({ name: "no layer", bytes: 0, color: fixed.gone });
      if (comparing) for (const g of groups) g.bytes = 0;
      if (comparing) for (let i = 0; i < tree.n; i++) if (!tree.isDir[i]) groups[tree.layer[i] < 0 ? groups.length - 1 : tree.layer[i]].bytes += tree.size[i] - tree.old[i];
      out.push({ name: "layer", groups, of: (i) => tree.layer[i] >= 0 && tree.layer[i] < groups.length - 1 ? tree.layer[i] : groups.length - 1 });
    }
    const tops = children(tree, 0);
    const top = new Int32Array(tree.n);
    tops.forEach((c, k) => top.fill(k, c, tree.end[c]));
    out.push({ name: "directory", of: (i) => top[i], groups: tops.map((c, k) => ({ name: "/" + (tree.names[c] || "(files)"), bytes: comparing ? tree.size[c] - tree.old[c] : tree.size[c], color: palette[k % palette.length] })) });
    for (const m of out) m.foremost = new Map();
    return out;
  }

  // The group that fills most of a node, and its part of the node. A directory that
  // is too small to look into has its colour.
  function foremost(tree, mode, node) {
    if (!tree.isDir[node]) return { group: mode.of(node), part: 1 };
    let known = mode.foremost.get(node);
    if (!known) {
      const sums = new Float64Array(mode.groups.length);
      for (let i = node; i < tree.end[node]; i++) if (!tree.isDir[i]) sums[mode.of(i)] += tree.area[i];
      const group = sums.indexOf(Math.max(...sums));
      known = { group, part: sums[group] / tree.area[node] };
      mode.foremost.set(node, known);
    }
    return known;
  }

  // ---- the map -----------------------------------------------------------
  const tip = make("div", { class: "tip", hidden: true, "aria-hidden": "true" });
  document.body.append(tip);
  let maps = 0;

  function map(section) {
    const source = document.getElementById("data-" + section.dataset.index);
    if (!source) return null;
    const data = JSON.parse(source.textContent);
    source.remove();
    const id = ++maps;
    const trees = { size: decode(data.tree), change: data.changes ? decode(data.changes) : null };
    for (const k in trees) if (trees[k]) trees[k].modes = modes(data, trees[k], k === "change");
    let view = "size", tree = trees.size, mode = tree.modes[0], at = 0, chosen = -1, cells = [], lit = -1, hits = null, wanted = "";
    let width = 0, height = 0;

    const canvas = make("canvas", { "aria-hidden": "true" });
    const hover = make("div", { class: "ring hover", hidden: true });
    const ring = make("div", { class: "ring chosen", hidden: true });
    const status = make("p", { class: "status", "aria-live": "polite" });
    const box = make("div", {
      class: "canvas", tabindex: "0", role: "application", "aria-roledescription": "treemap", "aria-describedby": "hint-" + id,
      "aria-label": "Map of the filesystem: the arrows move, Enter opens, Escape goes back; the entries are also in the table below",
    }, canvas, hover, ring);
    const crumbs = make("nav", { class: "crumbs", "aria-label": "Directory shown" });
    const legend = make("ul", { class: "legend", "aria-label": "Colours" });
    const found = make("ul", { class: "found", hidden: true, "aria-label": "Largest files found" });
    const search = make("input", { type: "search", class: "mapsearch", placeholder: "Search paths  ( / )", "aria-label": "Search paths in the map" });
    const said = make("span", { class: "words", "aria-live": "polite" });
    const colours = make("select", { class: "colours", "aria-label": "Colour by", onchange: () => { mode = tree.modes.find((m) => m.name === colours.value) || mode; lit = -1; drawLegend(); draw(); entries(); } });
    const entryRows = make("tbody");
    const entryNote = make("p", { class: "words" });
    const hint = make("p", { class: "hint", id: "hint-" + id });
    for (const [key, what] of [["\u2190\u2191\u2193\u2192", "move"], ["Enter", "open"], ["Esc", "back"], ["/", "search"]]) hint.append(make("kbd", {}, key), " " + what + "\u2002");

    const bar = make("div", { class: "mapbar" });
    if (trees.change) {
      const buttons = [["size", "What is there"], ["change", "What changed"]].map(([name, words]) => make("button", { type: "button", "data-view": name, "aria-pressed": name === view, onclick: () => {
        buttons.forEach((b) => b.setAttribute("aria-pressed", b.dataset.view === name));
        view = name; tree = trees[name];
        mode = tree.modes.find((m) => m.name === (name === "change" ? "change" : mode.name)) || tree.modes[0];
        at = 0; chosen = -1; lit = -1;
        offerModes(); find(); drawLegend(); zoomTo(0);
      } }, words));
      bar.append(make("div", { class: "switch", role: "group", "aria-label": "Areas show" }, ...buttons));
    }
    bar.append(colours, search, said);
    section.append(bar, found, crumbs, box, status, legend, hint,
      make("details", {}, make("summary", {}, "Entries of this directory as a table"), entryNote,
        make("div", { class: "scroll" }, make("table", { class: "entries" }, make("thead", {}, make("tr", {},
          ...["name", "size", "share", "files", "what"].map((n, i) => make("th", { scope: "col", class: i > 0 && i < 4 ? "num" : "" }, n)))), entryRows))));

    const comparing = () => view === "change";
    const sizeOf = (i) => comparing() ? signed(tree.size[i] - tree.old[i]) : bytes(tree.size[i]);
    const nameOf = (i) => tree.names[i] || (comparing() || !data.files ? plural(tree.files[i], "file") + " here" : plural(tree.files[i], "smaller file"));

    function offerModes() {
      colours.replaceChildren(...tree.modes.map((m) => make("option", { value: m.name, selected: m === mode }, "colour by " + m.name)));
      colours.value = mode.name;
    }

    function drawLegend() {
      const most = 14;
      const shown = mode.groups.map((g, i) => ({ ...g, i })).filter((g) => g.bytes !== 0);
      const order = mode.name === "layer" ? shown : [...shown].sort((a, b) => Math.abs(b.bytes) - Math.abs(a.bytes));
      legend.replaceChildren(...order.slice(0, most).map((g) => {
        const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
        swatch.style.background = g.color;
        return make("li", {}, make("button", { type: "button", title: g.name, "aria-pressed": lit === g.i, onclick: () => { lit = lit === g.i ? -1 : g.i; drawLegend(); draw(); } },
          swatch, make("span", { class: "name" }, g.name), make("span", { class: "bytes" }, comparing() ? signed(g.bytes) : bytes(g.bytes))));
      }));
      if (order.length > most) legend.append(make("li", { class: "words" }, "and " + (order.length - most) + " more"));
    }

    function drawCrumbs() {
      const chain = [];
      for (let i = at; i >= 0; i = tree.parent[i]) chain.unshift(i);
      const shown = chain.length > 12 ? [chain[0], ...chain.slice(-10)] : chain;
      crumbs.replaceChildren();
      shown.forEach((i, k) => {
        const name = i === 0 ? "/" : tree.names[i];
        if (k > 1) crumbs.append("/");
        if (k === 1 && shown.length < chain.length) crumbs.append("\u2026/");
        crumbs.append(i === at ? make("span", { "aria-current": "page" }, name) : make("button", { type: "button", onclick: () => { zoomTo(i); box.focus({ preventScroll: true }); } }, name));
      });
      const share = at > 0 && !comparing() ? ", " + percent(tree.area[at], tree.area[0]) + " of the filesystem" : "";
      crumbs.append(make("span", { class: "sum" }, sizeOf(at) + share + " in " + plural(tree.files[at], "file")));
    }

    function entries() {
      const list = children(tree, at), most = 100;
      entryNote.textContent = list.length > most ? "The largest " + most + " of " + plural(list.length, "entry").replace("entrys", "entries") + "." : "";
      entryRows.replaceChildren(...list.slice(0, most).map((i) => make("tr", {},
        make("td", { class: "path" }, tree.isDir[i] ? make("button", { type: "button", onclick: () => { zoomTo(i); (entryRows.querySelector("button") || section.querySelector("summary")).focus({ preventScroll: true }); } }, nameOf(i) + "/") : nameOf(i)),
        make("td", { class: "num" }, sizeOf(i)), make("td", { class: "num" }, percent(tree.area[i], tree.area[at])),
        make("td", { class: "num" }, count(tree.files[i])), make("td", {}, describe(i).join(" \u00b7 ")))));
    }

    // What is known of a node beside its size.
    function describe(i) {
      const out = [];
      for (const m of tree.modes) {
        if (m.name === "directory" || (m.name === "change" && comparing())) continue;
        const { group, part } = foremost(tree, m, i), g = m.groups[group];
        if (!g) continue;
        const owner = m.name === "owner" && !tree.isDir[i] ? tree.owner[i] : 0;
        const words = owner > 0 ? data.packages[owner - 1] + " (" + g.name.replace(/ packages$/, "") + ")" : m.name === "layer" && g.kind ? "layer " + g.name : g.name;
        if (m.name !== "change" || g.name !== "same") out.push((part < .9995 ? percent(part, 1) + " " : "") + words);
      }
      if (comparing()) out.push(bytes(tree.old[i]) + " \u2192 " + bytes(tree.size[i]));
      return out;
    }

    function say(i, rest) {
      if (rest) return { name: plural(rest.list.length - rest.from, "smaller entry").replace("entrys", "entries"), words: ["together " + bytes(rest.area)] };
      return {
        name: pathOf(tree, tree.names[i] ? i : tree.parent[i]) + (tree.isDir[i] && i > 0 ? "/" : tree.names[i] ? "" : "  " + nameOf(i)),
        words: [sizeOf(i) + ", " + percent(tree.area[i], tree.area[at]) + " of what is shown" + (tree.isDir[i] ? ", " + plural(tree.files[i], "file") : ""), ...describe(i)],
      };
    }

    // How much of what is too small to draw was found.
    function sumOf(rest) {
      let sum = 0;
      for (let k = rest.from; k < rest.list.length; k++) sum += hits[rest.list[k]];
      return sum;
    }

    const clip = (text, room, wide) => {
      const fit = Math.floor(room / wide);
      return text.length <= fit ? text : fit > 2 ? text.slice(0, fit - 1) + "\u2026" : "";
    };

    function draw() {
      const ratio = Math.min(devicePixelRatio || 1, 2);
      if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
      }
      const c = canvas.getContext("2d");
      const gap = css("--surface"), dirs = css("--dir"), dirText = css("--dir-text"), dim = css("--dim"), hatch = css("--hatch"), muted = css("--muted");
      c.setTransform(ratio, 0, 0, ratio, 0, 0);
      c.fillStyle = gap;
      c.fillRect(0, 0, width, height);
      c.textBaseline = "middle";
      const small = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
      const heavy = "600 " + small;
      const inks = mode.groups.map((g) => ink(g.color));
      c.font = small;
      const wide = c.measureText("etaoinshrdlu0/").width / 14 * 1.04;
      for (const cell of cells) {
        const { node, x, y } = cell;
        const w = cell.w - 1, h = cell.h - 1;
        if (w <= .4 || h <= .4) continue;
        if (cell.open) {
          c.fillStyle = dirs;
          c.fillRect(x, y, w, h);
          if (cell.titled) {
            const total = sizeOf(node), room = w - 10;
            const name = clip(cell.label, room, wide * 1.06);
            c.font = heavy;
            c.fillStyle = dirText;
            c.fillText(name, x + 5, y + header / 2 + .5, room);
            if ((name.length + total.length + 2) * wide * 1.08 < room) {
              c.font = small;
              c.fillStyle = muted;
              c.textAlign = "right";
              c.fillText(total, x + w - 5, y + header / 2 + .5);
              c.textAlign = "left";
            }
          }
          continue;
        }
        const { group } = foremost(tree, mode, node);
        // Of what is drawn as one block, the part that was found has the colour.
        const whole = cell.rest ? cell.rest.area : tree.area[node];
        const part = hits ? (cell.rest ? sumOf(cell.rest) : hits[node]) / whole : 1;
        const off = part === 0 || (lit >= 0 && group !== lit);
        c.fillStyle = off || part < 1 ? dim : mode.groups[group] ? mode.groups[group].color : hatch;
        if (cell.rest && !off) c.globalAlpha = .6;
        c.fillRect(x, y, w, h);
        if (!off && part < 1) {
          c.fillStyle = mode.groups[group].color;
          c.fillRect(x, y, Math.min(w, Math.max(3, w * part)), h);
        }
        c.globalAlpha = 1;
        if (cell.rest || w < 40 || h < 15) continue;
        c.font = small;
        c.fillStyle = off || part < 1 ? dirText : inks[group] || dirText;
        const name = clip(tree.isDir[node] ? cell.label : nameOf(node), w - 8, wide);
        if (!name) continue;
        c.fillText(name, x + 4, y + Math.min(10, h / 2), w - 7);
        if (h >= 32) {
          const total = sizeOf(node);
          if (total.length * wide < w - 8) c.fillText(total, x + 4, y + 25, w - 7);
        }
      }
      frame();
    }

    const surround = (e, cell) => {
      e.hidden = !cell;
      if (!cell) return;
      e.style.transform = "translate(" + cell.x + "px," + cell.y + "px)";
      e.style.width = Math.max(cell.w - 1, 4) + "px";
      e.style.height = Math.max(cell.h - 1, 4) + "px";
    };
    const cellOf = (node) => cells.find((c) => !c.rest && (c.node === node || c.inner === node));
    const frame = () => surround(ring, chosen >= 0 ? cellOf(chosen) : null);

    function measure() {
      width = box.clientWidth;
      height = box.clientHeight;
    }

    function zoomTo(dir, choose = -1) {
      const start = performance.now();
      const moved = at !== dir;
      at = dir;
      cells = width > 0 ? layout(tree, at, width, height) : [];
      chosen = choose >= 0 ? choose : children(tree, at)[0] ?? -1;
      hover.hidden = true;
      tip.hidden = true;
      if (moved) status.textContent = "now showing " + pathOf(tree, at);
      draw();
      drawCrumbs();
      entries();
      performance.measure("zoom", { start });
    }

    function choose(node) {
      chosen = node;
      frame();
      const { name, words } = say(node);
      status.textContent = name + ": " + words.join(", ");
    }

    function open(node) {
      if (tree.isDir[node]) zoomTo(cellOf(node)?.inner ?? node); else choose(node);
    }

    function back() {
      if (at === 0) return;
      // The directories that were opened as one are closed as one.
      let from = at, up = tree.parent[at];
      while (up > 0 && children(tree, up).length === 1) { from = up; up = tree.parent[up]; }
      zoomTo(up, from);
      choose(from);
    }

    // The sibling that lies in a direction: the nearest edge first, then what is
    // straight ahead.
    function move(dx, dy) {
      const from = cellOf(chosen);
      if (!from) { const first = children(tree, at)[0]; if (first !== undefined) choose(first); return; }
      const up = tree.parent[from.node];
      let best = null, least = Infinity;
      for (const c of cells) {
        if (c.rest || c === from || c.depth !== from.depth || tree.parent[c.node] !== up) continue;
        const ahead = dx > 0 ? c.x - from.x - from.w : dx < 0 ? from.x - c.x - c.w : dy > 0 ? c.y - from.y - from.h : from.y - c.y - c.h;
        if (ahead < -1.5) continue;
        const beside = dx ? Math.max(c.y - from.y - from.h, from.y - c.y - c.h, 0) : Math.max(c.x - from.x - from.w, from.x - c.x - c.w, 0);
        const off = dx ? Math.abs(c.y + c.h / 2 - from.y - from.h / 2) : Math.abs(c.x + c.w / 2 - from.x - from.w / 2);
        const far = Math.max(ahead, 0) + 3 * beside + .1 * off;
        if (far < least) { least = far; best = c; }
      }
      if (best) choose(best.node);
    }

    box.addEventListener("keydown", (e) => {
      if (e.ctrlKey || e.metaKey || e.altKey) return;
      const arrows = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
      if (arrows[e.key]) move(...arrows[e.key]);
      else if (e.key === "Enter" || e.key === " ") { if (chosen >= 0) { open(chosen); if (chosen >= 0) choose(chosen); } }
      else if (e.key === "Escape" || e.key === "Backspace") back();
      else if (e.key === "Home") { const first = children(tree, at)[0]; if (first !== undefined) choose(first); }
      else return;
      e.preventDefault();
    });
    box.addEventListener("focus", () => { if (chosen >= 0 && box.matches(":focus-visible")) choose(chosen); });

    // The deepest cell at a point, and the one right in the directory shown.
    function under(e) {
      const r = box.getBoundingClientRect(), x = e.clientX - r.left, y = e.clientY - r.top;
      let top = null, deep = null;
      for (const c of cells) {
        if (x >= c.x && x < c.x + c.w && y >= c.y && y < c.y + c.h) {
          if (c.depth === 0) top = c;
          if (!deep || c.depth > deep.depth) deep = c;
        }
      }
      return { top, deep };
    }
    box.addEventListener("mousemove", (e) => {
      const { deep } = under(e);
      surround(hover, deep);
      tip.hidden = !deep;
      if (!deep) return;
      const { name, words } = say(deep.node, deep.rest);
      tip.replaceChildren(make("b", {}, name.length > 300 ? "\u2026" + name.slice(-300) : name), ...words.map((w) => make("span", {}, w)));
      const r = tip.getBoundingClientRect();
      tip.style.left = Math.max(4, Math.min(e.clientX + 14, innerWidth - r.width - 8)) + "px";
      tip.style.top = (e.clientY + 20 + r.height > innerHeight ? Math.max(4, e.clientY - r.height - 12) : e.clientY + 20) + "px";
    });
    box.addEventListener("mouseleave", () => { hover.hidden = true; tip.hidden = true; });
    box.addEventListener("click", (e) => {
      const { top, deep } = under(e);
      if (!deep) return;
      // The title of a directory opens it; elsewhere the way leads one step down.
      const target = deep.open && !deep.rest ? deep : top;
      if (target.rest) return;
      if (tree.isDir[target.node]) open(target.node); else choose(target.node);
    });

    // Searching walks the names once: what is below a directory that matches does, too.
    let lower = null;
    function find() {
      const q = wanted;
      found.hidden = true;
      hits = null;
      if (q === "") { said.textContent = ""; return; }
      if (!lower || lower.tree !== tree) {
        const paths = new Array(tree.n);
        paths[0] = "";
        for (let i = 1; i < tree.n; i++) paths[i] = paths[tree.parent[i]] + "/" + tree.names[i].toLowerCase();
        lower = { tree, paths };
      }
      hits = new Float64Array(tree.n); // the area of what was found in each node
      let n = 0, sum = 0;
      const best = [];
      for (let i = 1; i < tree.n; i++) {
        if (tree.isDir[i] || !lower.paths[i].includes(q)) continue;
        hits[i] = tree.area[i];
        n += tree.files[i];
        sum += comparing() ? tree.size[i] - tree.old[i] : tree.size[i];
        if (best.length < 50 || tree.area[i] > tree.area[best[best.length - 1]]) {
          let k = best.length;
          while (k > 0 && tree.area[best[k - 1]] < tree.area[i]) k--;
          best.splice(k, 0, i);
          if (best.length > 50) best.pop();
        }
      }
      for (let i = tree.n - 1; i > 0; i--) hits[tree.parent[i]] += hits[i];
      said.textContent = n ? plural(n, "file") + ", " + (comparing() ? signed(sum) : bytes(sum)) : "nothing found";
      found.replaceChildren(...best.map((i) => make("li", {}, make("button", { type: "button", onclick: () => {
        zoomTo(tree.parent[i], i);
        choose(i);
        box.focus({ preventScroll: true });
        box.scrollIntoView({ block: "nearest" });
      } }, make("span", { class: "name" }, tree.names[i] ? pathOf(tree, i) : say(i).name), make("span", { class: "bytes" }, sizeOf(i))))));
      found.hidden = best.length === 0;
    }
    let later = 0;
    search.addEventListener("input", () => {
      clearTimeout(later);
      later = setTimeout(() => { wanted = search.value.trim().toLowerCase(); find(); draw(); }, 90);
    });
    search.addEventListener("keydown", (e) => {
      if (e.key === "Escape") { search.value = ""; wanted = ""; find(); draw(); box.focus({ preventScroll: true }); e.preventDefault(); }
      if (e.key === "Enter" && !found.hidden) { found.querySelector("button").click(); e.preventDefault(); }
    });

    offerModes();
    drawLegend();
    measure();
    zoomTo(0);
    new ResizeObserver(() => {
      const w = width, h = height;
      measure();
      if (width > 0 && (w !== width || h !== height)) zoomTo(at, chosen);
    }).observe(box);
    redraws.push(() => { draw(); });
    return { search };
  }

  // ---- images ------------------------------------------------------------
  const images = [...document.querySelectorAll("article.image")];
  const drawn = new Map();
  let current = images[0];
  function show(image, focus) {
    current = image;
    images.forEach((i) => { i.hidden = i !== image; });
    tabs.forEach((t, k) => {
      t.setAttribute("aria-selected", images[k] === image);
      t.tabIndex = images[k] === image ? 0 : -1;
      if (images[k] === image && focus) t.focus();
    });
    const section = image.querySelector("section.map");
    if (section && !drawn.has(image)) drawn.set(image, map(section));
  }
  const tabs = images.length > 1 ? images.map((image, k) => {
    image.setAttribute("role", "tabpanel");
    return make("button", { type: "button", role: "tab", "aria-controls": image.id, onclick: () => show(image, false), onkeydown: (e) => {
      const to = { ArrowRight: k + 1, ArrowLeft: k - 1, Home: 0, End: images.length - 1 }[e.key];
      if (to === undefined) return;
      e.preventDefault();
      show(images[(to + images.length) % images.length], true);
    } }, (image.dataset.class === "fail" ? "\u2717 " : image.dataset.class === "warn" ? "! " : "") + image.dataset.name, make("small", {}, image.dataset.platform));
  }) : [];
  if (tabs.length) images[0].before(make("div", { class: "tabs", role: "tablist", "aria-label": "Images" }, ...tabs));
  if (current) show(current, false);

  document.addEventListener("keydown", (e) => {
    if (e.key !== "/" || e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) return;
    const m = drawn.get(current);
    if (!m) return;
    e.preventDefault();
    m.search.focus();
  });
  root.dataset.ready = "";
})();
