package footprint

import (
	"cmp"
	"slices"
)

// maxPaths bounds [Delta.Paths].
const maxPaths = 200

// changedPaths splits the change of the whole tree into at most maxPaths files
// and directories. Starting from the root, the heaviest directory is replaced
// by what is in it as long as a few of its children explain it; what they do
// not explain stays an entry of the directory itself.
func changedPaths(root *node) []PathChange {
	picks := []*pick{{node: root}}
	entries := 1
	for {
		next := heaviest(picks)
		if next == nil {
			break
		}
		next.done = true
		if next.node.gross < root.gross/1000 {
			continue
		}
		kids := next.explain()
		if len(kids) == 0 || entries+len(kids) > maxPaths {
			continue
		}
		entries += len(kids)
		next.kids = kids
		for _, k := range kids {
			picks = append(picks, &pick{node: k, done: !k.dir})
		}
	}
	var out []PathChange
	for _, p := range picks {
		n := p.node.rest(p.kids)
		if n.growth() == 0 {
			continue
		}
		out = append(out, PathChange{
			Path: n.path, Change: n.change(), Dir: n.dir,
			Old: n.old, New: n.new, Bytes: n.growth(),
			Files: n.changed, Layer: n.layers.most(),
		})
	}
	slices.SortFunc(out, func(a, b PathChange) int {
		return cmp.Or(cmp.Compare(max(b.Bytes, -b.Bytes), max(a.Bytes, -a.Bytes)), comparePaths(a.Path, b.Path), boolInt(a.Dir)-boolInt(b.Dir))
	})
	return out
}

// pick is a node that stands for everything below it but kids.
type pick struct {
	node *node
	kids []*node
	done bool
}

func heaviest(picks []*pick) *pick {
	var best *pick
	for _, p := range picks {
		if !p.done && (best == nil || p.node.gross > best.node.gross) {
			best = p
		}
	}
	return best
}

// explain returns the kids that say more than their directory does: all of
// them if they are few, else the heavy ones if they make up half of it.
func (p *pick) explain() []*node {
	n := p.node
	few := 12
	if n.path == "/" {
		few = 32
	}
	if label(n.path) != "" && n.change() != Changed {
		return nil
	}
	kids := slices.DeleteFunc(slices.Clone(n.kids), func(k *node) bool { return k.gross == 0 })
	if rest := n.rest(kids); rest.gross == 0 && len(kids) <= few {
		return kids
	}
	slices.SortStableFunc(kids, func(a, b *node) int { return cmp.Compare(b.gross, a.gross) })
	var heavy []*node
	var sum Bytes
	for _, k := range kids {
		if len(heavy) == few || k.gross < n.gross/16 {
			break
		}
		heavy = append(heavy, k)
		sum += k.gross
	}
	if sum < n.gross-sum {
		return nil
	}
	return heavy
}
