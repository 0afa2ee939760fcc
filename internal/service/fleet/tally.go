package fleet

// tally is what machines are counted by. The counts are kept as machines change, so that looking at a group costs the number of its
// versions and not of its machines.
type tally struct {
	group, arch, version, target symbol
	app                          uint16
	state                        stateNumber
}

func (r *record) tally() tally {
	return tally{r.group, r.arch, r.version, r.target, r.app, r.state}
}

func (m *memory) count(r *record) { m.tallies[r.tally()]++ }

func (m *memory) uncount(r *record) {
	t := r.tally()
	if m.tallies[t]--; m.tallies[t] == 0 {
		delete(m.tallies, t)
	}
}

// ended counts the machines of a group that came to the good end of a release.
func (m *memory) ended(a *app, groupName, arch, version string) int {
	n := 0
	group, arch2, target := m.names.numbers[groupName], m.names.numbers[arch], m.names.numbers[version]
	for t, count := range m.tallies {
		if t.app == a.number && t.group == group && t.arch == arch2 && t.version == target {
			n += count
		}
	}
	return n
}
