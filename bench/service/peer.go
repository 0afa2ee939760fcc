package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"conifer.dev/conifer/bench/page"
	"conifer.dev/conifer/bench/service/load"
	"conifer.dev/conifer/bench/service/server"
)

// peer is a Nebraska that somebody started, with an application for Flatcar as it makes one itself. Its operator's API is documented
// in its own spec.yaml.
type peer struct {
	at       load.Target
	server   int // process ids, 0 when they were not told
	database int

	packages map[string]string // version -> id
	channel  string            // ids
	group    string
}

// unlimited is what Nebraska takes for no limit.
const unlimited = 900_000

// manyHours is longer than any registration may take.
const manyHours = 12 * time.Hour

// measurePeer makes machines known to the peer by letting them ask, and measures the rows.
func measurePeer(ctx context.Context, s *settings) ([]outcome, error) {
	target, err := load.ParseTarget(s.peer)
	if err != nil {
		return nil, err
	}
	p := &peer{at: target, server: s.peerPID, database: s.peerDBPID, packages: map[string]string{}}
	if err := p.prepare(ctx); err != nil {
		return nil, fmt.Errorf("prepare the peer: %w", err)
	}
	known := max(s.peerMachines, 1)
	talk("making %s machines known to the peer", page.Number(known))
	if err := p.set(ctx, policy{}); err != nil {
		return nil, err
	}
	_, err = load.Run(ctx, load.Plan{
		Target: target, Fleet: fleet(), Mode: load.Register, Machines: known, Connections: s.connections, Duration: manyHours,
	})
	if err != nil {
		return nil, err
	}
	return measureRows(ctx, s, sized{p, known})
}

func (p *peer) target() load.Target { return p.at }

func (p *peer) watch() []load.Process { return processes(p.server, p.database) }

func (p *peer) close() error { return nil }

// amd64 is Nebraska's number of the architecture.
const amd64 = 1

// prepare makes a package for each version, and a channel and a group called bench, unless an earlier run has.
func (p *peer) prepare(ctx context.Context) error {
	for _, version := range []string{server.OldVersion, server.NewVersion} {
		id, err := p.ensure(ctx, "packages", "version", version, map[string]any{
			"application_id": server.Flatcar, "arch": amd64, "channels_blacklist": []string{}, "description": "", "type": 1,
			"filename": "flatcar_production_update.gz", "hash": "Xl5eXl5eXl5eXl5eXl5eXl5eXl4=", "size": "477547077", "version": version,
			"url": "http://127.0.0.1:1/" + version + "/", "flatcar_action": map[string]string{"sha256": "Xl5e"},
		})
		if err != nil {
			return err
		}
		p.packages[version] = id
	}
	var err error
	if p.channel, err = p.ensure(ctx, "channels", "name", group, p.channelTo(server.OldVersion)); err != nil {
		return err
	}
	p.group, err = p.ensure(ctx, "groups", "name", group, p.groupWith(policy{}))
	return err
}

func (p *peer) channelTo(version string) map[string]any {
	return map[string]any{
		"application_id": server.Flatcar, "arch": amd64, "color": "#000000", "name": group, "package_id": p.packages[version],
	}
}

func (p *peer) groupWith(want policy) map[string]any {
	limit := want.limit
	if limit == 0 {
		limit = unlimited
	}
	return map[string]any{
		"name": group, "track": group, "channel_id": p.channel, "policy_updates_enabled": true, "policy_safe_mode": false,
		"policy_office_hours": false, "policy_timezone": "UTC", "policy_period_interval": fmt.Sprintf("%.0f minutes", period.Minutes()),
		"policy_max_updates_per_period": limit, "policy_update_timeout": "60 minutes",
	}
}

func (p *peer) set(ctx context.Context, want policy) error {
	release := server.OldVersion
	if want.update {
		release = server.NewVersion
	}
	if _, err := p.call(ctx, "PUT", "channels/"+p.channel, p.channelTo(release)); err != nil {
		return err
	}
	_, err := p.call(ctx, "PUT", "groups/"+p.group, p.groupWith(want))
	return err
}

// ensure finds what has a name, or makes it, and returns its id.
func (p *peer) ensure(ctx context.Context, kind, key, name string, body map[string]any) (string, error) {
	page, err := p.call(ctx, "GET", kind+"?page=1&perpage=100", nil)
	if err != nil {
		return "", err
	}
	var listed map[string]json.RawMessage
	var found []map[string]any
	if err := json.Unmarshal(page, &listed); err != nil {
		return "", err
	}
	if err := json.Unmarshal(listed[kind], &found); err != nil && len(listed[kind]) > 0 {
		return "", err
	}
	for _, f := range found {
		if f[key] == name {
			return fmt.Sprint(f["id"]), nil
		}
	}
	answer, err := p.call(ctx, "POST", kind, body)
	if err != nil {
		return "", err
	}
	var made struct {
		ID string `json:"id"`
	}
	return made.ID, json.Unmarshal(answer, &made)
}

// call asks the operator's API about the application.
func (p *peer) call(ctx context.Context, method, path string, body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+p.at.Address+"/api/apps/"+server.Flatcar+"/"+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, strings.TrimSpace(string(said)))
	}
	return said, err
}
