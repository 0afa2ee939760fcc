package main

import (
	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/cluster/reboot"
	"conifer.dev/conifer/internal/config"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/fleetlock"
)

// settings is the configuration of the program: /etc/conifer/cluster.toml and cluster.d/*.toml. A flag of the same
// name goes before the files.
type settings struct {
	// Listen is the address where machines and monitoring reach the program. FleetLock has no credentials: choose
	// one that only the cluster can reach.
	Listen string `toml:"listen"`

	// Data is the folder of the embedded etcd and of the operator's socket, admin.sock.
	Data string `toml:"data"`

	// Slots is how many machines of the group `default` may reboot at a time; 0 halts their reboots.
	Slots int `toml:"slots"`

	// Groups are further groups of machines and the slots of each. A machine of any other group is refused.
	Groups map[string]int `toml:"groups"`

	// Etcd is your own etcd. Without endpoints the program runs one of its own.
	Etcd etcdSettings `toml:"etcd"`
}

type etcdSettings struct {
	// Endpoints are the URLs of its members.
	Endpoints []string `toml:"endpoints"`

	// CAFile holds the certificates that may sign its own; without it the system's are used.
	CAFile string `toml:"ca_file"`

	// CertFile and KeyFile are the certificate that the program shows to etcd.
	CertFile string `toml:"cert_file"`
	KeyFile  string `toml:"key_file"`
}

func defaults() settings {
	return settings{Listen: "127.0.0.1:8081", Data: "/var/lib/conifer-cluster", Slots: 1}
}

func (p *program) addFlags(root *cobra.Command) {
	d := defaults()
	flags := root.PersistentFlags()
	flags.StringVar(&p.configFile, "config", "/etc/conifer/cluster.toml", "configuration file")
	flags.StringVar(&p.flags.Data, "data", d.Data, "folder of the embedded etcd and of admin.sock")
	own := root.Flags()
	own.StringVar(&p.flags.Listen, "listen", d.Listen, "address for FleetLock and /metrics")
	own.IntVar(&p.flags.Slots, "slots", d.Slots, "how many machines of the group default may reboot at a time")
	own.StringSliceVar(&p.flags.Etcd.Endpoints, "etcd-endpoints", nil, "URLs of your own etcd (default: an embedded one)")
}

// load reads the files and puts the given flags over them.
func (p *program) load(cmd *cobra.Command) (settings, *config.Config, error) {
	s := defaults()
	origins, err := config.Load(p.configFile, &s)
	if err != nil {
		return s, nil, err
	}
	for name, apply := range map[string]func(){
		"listen":         func() { s.Listen = p.flags.Listen },
		"data":           func() { s.Data = p.flags.Data },
		"slots":          func() { s.Slots = p.flags.Slots },
		"etcd-endpoints": func() { s.Etcd.Endpoints = p.flags.Etcd.Endpoints },
	} {
		if cmd.Flags().Changed(name) {
			apply()
		}
	}
	return s, origins, s.check()
}

func (s settings) check() error {
	for group, slots := range s.groups() {
		if !fleetlock.ValidGroup(group) {
			return fault.New(fault.Invalid, "%q is not the name of a group", group)
		}
		if slots < 0 || slots > reboot.MaxSlots {
			return fault.New(fault.Invalid, "group %s has %d slots, want 0 to %d", group, slots, reboot.MaxSlots)
		}
	}
	if _, twice := s.Groups[fleetlock.DefaultGroup]; twice {
		return fault.New(fault.Invalid, "group %s is among the groups", fleetlock.DefaultGroup).
			WithHint("Its number of slots is the setting `slots`.")
	}
	return nil
}

// groups are all groups that are served, with their slots.
func (s settings) groups() map[string]int {
	all := map[string]int{fleetlock.DefaultGroup: s.Slots}
	for group, slots := range s.Groups {
		if group != fleetlock.DefaultGroup {
			all[group] = slots
		}
	}
	return all
}
