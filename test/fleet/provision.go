package fleet

import (
	"encoding/base64"
	"fmt"
	"strings"

	"conifer.dev/conifer/test/lab"
)

// AgentPort is where a lab machine's agent answers /healthz, /status and /metrics.
const AgentPort = 9100

// Timing is how quickly the agents of a test fleet work; a real fleet polls once an hour.
type Timing struct {
	Poll     string // duration, as in agent.toml
	Deadline string // how long a trial may take to become healthy
	Settle   string // how long it must stay healthy
}

// QuickTiming suits emulated machines.
var QuickTiming = Timing{Poll: "10s", Deadline: "150s", Settle: "5s"}

// quadlet is the application of every machine: one container, started by systemd through podman.
const quadlet = `[Unit]
Description=The application above the operating system
After=network-online.target
Wants=network-online.target

[Container]
Image=%s
ContainerName=web
PublishPort=%d:%d

[Service]
Restart=always
RestartSec=2
TimeoutStartSec=600

[Install]
WantedBy=multi-user.target
`

// health is the site's own check: the application answers.
const health = `#!/bin/bash
# The application must take connections on its published port.
exec 3<>/dev/tcp/127.0.0.1/%d
`

// credentials is all that makes a fresh disk a member of this fleet.
func (f *Fleet) credentials(name, group string, timing Timing) []lab.Credential {
	return []lab.Credential{
		{Name: "system.hostname", Text: name},
		{Name: "conifer.agent", Text: f.agentConfig(name, group, timing)},
		{Name: "tmpfiles.extra", Text: f.tmpfiles()},
	}
}

func (f *Fleet) agentConfig(name, group string, t Timing) string {
	return fmt.Sprintf(`server = "http://%s:%d"
group = %q
alias = %q
poll_interval = %q
poll_jitter = "1s"
lock_url = "http://%s:%d"
listen = ":%d"

[health]
deadline = %q
settle = %q
`, lab.Host, f.serverPort, group, name, t.Poll, lab.Host, f.clusterPort, AgentPort, t.Deadline, t.Settle)
}

func (f *Fleet) tmpfiles() string {
	var b strings.Builder
	file := func(path, mode, text string) {
		fmt.Fprintf(&b, "f+~ %s %s root root - %s\n", path, mode, base64.StdEncoding.EncodeToString([]byte(text)))
	}
	b.WriteString("d /etc/containers/systemd 0755 root root -\n")
	b.WriteString("d /etc/containers/registries.conf.d 0755 root root -\n")
	b.WriteString("d /etc/systemd/system/sockets.target.wants 0755 root root -\n")
	b.WriteString("L /etc/systemd/system/sockets.target.wants/ssh.socket - - - - /usr/lib/systemd/system/ssh.socket\n")
	file("/etc/containers/registries.conf.d/50-lab.conf", "0644",
		fmt.Sprintf("[[registry]]\nlocation = \"%s:%d\"\ninsecure = true\n", lab.Host, f.Registry.Port))
	file("/etc/containers/systemd/web.container", "0644", fmt.Sprintf(quadlet, f.Registry.Image(), lab.WebPort, lab.WebPort))
	b.WriteString("d /etc/conifer/health.d 0755 root root -\n")
	file("/etc/conifer/health.d/50-web", "0755", fmt.Sprintf(health, lab.WebPort))
	return b.String()
}
