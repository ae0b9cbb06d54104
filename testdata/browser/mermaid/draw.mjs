// Has mermaid read and draw every chart of the reports in report/testdata, in a
// headless Chromium, as GitHub does in a page of its own:
//
//   npm ci && node draw.mjs FOLDER
//
// It writes light.png and dark.png into FOLDER, to be looked at, and exits with 1
// if a chart is none, or if something of it is not in the picture. CHROMIUM names
// the browser.
import {execFileSync} from 'node:child_process';
import {mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {dirname, join, resolve} from 'node:path';
import {fileURLToPath} from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? '.');
const reports = join(here, '../../../report/testdata');
mkdirSync(out, {recursive: true});

const charts = [];
for (const name of readdirSync(reports).filter(name => name.endsWith('.md')).sort()) {
  for (const [, text] of readFileSync(join(reports, name), 'utf8').matchAll(/^```mermaid\n([^]*?)^```$/gm)) {
    if (!charts.some(chart => chart.text === text)) charts.push({name, text});
  }
}

// What mermaid is told is what GitHub tells it, as far as that is known.
const page = dark => `<!doctype html><meta charset="utf-8">
<style>body {background: ${dark ? '#0d1117' : '#fff'}; color: ${dark ? '#f0f6fc' : '#1f2328'}; font: 14px sans-serif; display: grid; grid-template-columns: 1fr 1fr}
section {padding: 8px} svg {max-width: 100%}</style>
<script src="file://${join(here, 'node_modules/mermaid/dist/mermaid.min.js')}"></script>
<script type="module">
mermaid.initialize({startOnLoad: false, theme: '${dark ? 'dark' : 'default'}', securityLevel: 'strict'});
const result = [];
for (const [i, {name, text}] of ${JSON.stringify(charts).replaceAll('<', '\\u003c')}.entries()) {
  const section = document.body.appendChild(document.createElement('section'));
  try {
    await mermaid.parse(text);
    const {svg} = await mermaid.render('chart' + i, text);
    section.innerHTML = name + svg;
    const drawn = section.querySelector('svg').textContent;
    for (const [, label] of text.replace(/^%%.*/, '').matchAll(/"([^"]*)"/g)) {
      if (!drawn.includes(label)) throw new Error(label + ' is not in the picture');
    }
    if (/Syntax error/.test(drawn)) throw new Error('syntax error');
    result.push('drawn: ' + name + ' ' + text.split('\\n')[1]);
  } catch (error) {
    result.push('FAILED: ' + name + ': ' + error.message + '\\n' + text);
  }
}
const pre = document.body.appendChild(document.createElement('pre'));
pre.id = 'result';
pre.hidden = true;
pre.textContent = result.join('\\n');
</script>`;

const browser = process.env.CHROMIUM ?? 'chromium';
const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--allow-file-access-from-files', '--virtual-time-budget=60000', `--user-data-dir=${join(out, 'profile')}`];
let failed = charts.length === 0;
for (const theme of ['light', 'dark']) {
  const file = join(out, theme + '.html');
  writeFileSync(file, page(theme === 'dark'));
  const dom = execFileSync(browser, [...flags, '--dump-dom', 'file://' + file], {encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'ignore']});
  const result = dom.match(/<pre id="result"[^>]*>([^]*?)<\/pre>/)?.[1] ?? 'FAILED: the page did not finish';
  console.log(theme + '\n' + result);
  failed ||= result.includes('FAILED') || result.split('drawn: ').length - 1 !== charts.length;
  execFileSync(browser, [...flags, `--screenshot=${join(out, theme + '.png')}`, `--window-size=1500,${400 + 300 * charts.length}`, 'file://' + file], {stdio: 'ignore'});
}
process.exit(failed ? 1 : 0);
