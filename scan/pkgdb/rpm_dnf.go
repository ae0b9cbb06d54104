package pkgdb

import (
	"maps"
	"slices"
	"strings"
)

// dnfReasons says why dnf installed each package, by its name, a dot and its
// architecture.
type dnfReasons map[string]Asked

// facts returns the reasons by name alone. Where one architecture was asked
// for, the name was.
func (r dnfReasons) facts() (facts Facts) {
	names := map[string]Asked{}
	for key, asked := range r {
		name := key
		if dot := strings.LastIndexByte(key, '.'); dot > 0 {
			name = key[:dot]
		}
		if names[name] != ByName {
			names[name] = asked
		}
	}
	delete(names, "")
	for _, name := range slices.Sorted(maps.Keys(names)) {
		facts.Packages = append(facts.Packages, Package{Ecosystem: Rpm, Name: name, Asked: names[name]})
	}
	return facts
}

// readDnfReasons reads the state of dnf 5. It is TOML, but dnf alone writes it,
// and a package is in it in one of two forms:
//
//	"bash.x86_64" = {reason="User"}
//	[packages."bash.x86_64"]
//	reason = "User"
func readDnfReasons(_ File, c Content) (facts Facts, err error) {
	reasons := dnfReasons{}
	key := ""
	for line := range strings.Lines(string(c.Whole)) {
		line = strings.TrimSpace(line)
		if table, ok := strings.CutPrefix(line, "["); ok {
			key = strings.TrimPrefix(strings.TrimSuffix(table, "]"), "packages.")
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		if strings.TrimSpace(name) != "reason" {
			key = strings.TrimSpace(name)
			_, value, _ = strings.Cut(value, "reason")
		}
		_, value, _ = strings.Cut(value, `"`)
		reason, _, _ := strings.Cut(value, `"`)
		if asked := dnfAsked(reason); asked != Unknown {
			if len(reasons) == maxPackages {
				return reasons.facts(), errManyPackages
			}
			reasons[strings.Clone(strings.Trim(key, `"`))] = asked
		}
	}
	return reasons.facts(), nil
}

func dnfAsked(reason string) Asked {
	switch reason {
	case "User", "External User", "Group":
		return ByName
	case "Dependency", "Weak Dependency":
		return AsDependency
	}
	return Unknown
}

// readDnfHistory reads the history of dnf 4. The last that was done to a
// package tells why it is there.
func readDnfHistory(_ File, c Content) (facts Facts, err error) {
	db, err := openSqlite(c.Whole)
	if err != nil {
		return facts, err
	}
	// The numbers are from libdnf/transaction/Types.hpp.
	const (
		done = 1

		downgraded, obsoleted, upgraded, removed, reinstalled = 3, 5, 7, 8, 10

		dependency, user, weak, group = 1, 2, 4, 5
	)
	transactions := map[int64]bool{}
	err = db.rows("trans", func(row sqliteRow) error {
		if len(transactions) == maxPackages {
			return errManyPackages
		}
		transactions[row.key] = row.number(8) == done
		return nil
	})
	if err != nil {
		return facts, err
	}
	items := map[int64]string{}
	err = db.rows("rpm", func(row sqliteRow) error {
		if len(items) == maxPackages {
			return errManyPackages
		}
		items[row.number(0)] = string(row.blob(1)) + "." + string(row.blob(5))
		return nil
	})
	if err != nil {
		return facts, err
	}
	reasons := dnfReasons{}
	err = db.rows("trans_item", func(row sqliteRow) error {
		item, ok := items[row.number(2)]
		if !ok || !transactions[row.number(1)] {
			return nil
		}
		switch row.number(4) {
		case downgraded, obsoleted, upgraded, reinstalled: // the other half of what came instead
			return nil
		case removed:
			delete(reasons, item)
			return nil
		}
		switch row.number(5) {
		case dependency, weak:
			reasons[item] = AsDependency
		case user, group:
			reasons[item] = ByName
		default:
			delete(reasons, item)
		}
		return nil
	})
	return reasons.facts(), err
}
