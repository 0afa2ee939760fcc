package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/wire/fleetlock"
)

// asProgram makes this test's own binary the program, so that it can be killed.
const asProgram = "CONIFER_CLUSTER_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "conifer-cluster")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// process is a running conifer-cluster.
type process struct {
	cmd  *exec.Cmd
	base string // URL
}

var listening = regexp.MustCompile(`msg=listening address=(\S+)`)

// start returns when the program says that it is ready. No configuration file of this machine is read.
func start(t *testing.T, data string, args ...string) *process {
	t.Helper()
	args = append([]string{"--listen", "127.0.0.1:0", "--data", data, "--config", filepath.Join(data, "none.toml")}, args...)
	p := &process{cmd: exec.Command(os.Args[0], args...)}
	p.cmd.Env = append(os.Environ(), asProgram+"=1")
	talk, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill() })
	var said strings.Builder
	lines := bufio.NewScanner(talk)
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			p.base = "http://" + m[1]
		}
		if lines.Text() == "ready" {
			go io.Copy(io.Discard, talk)
			return p
		}
	}
	t.Fatalf("the program ended before it was ready:\n%s", said.String())
	return nil
}

// ask sends a FleetLock request as a machine would, and returns the error that the machine would see.
func (p *process) ask(t *testing.T, endpoint, id string) error {
	t.Helper()
	call, err := fleetlock.NewCall(p.base, endpoint, fleetlock.Params{ID: id, Group: fleetlock.DefaultGroup})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, call.URL, bytes.NewReader(call.Body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range call.Header {
		request.Header.Set(name, value)
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fleetlock.ParseReply(reply.StatusCode, body)
}

// run executes a command line in this process.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, talk bytes.Buffer
	code = Run(t.Context(), cli.Env{Args: args, Stdout: &out, Stderr: &talk, Getenv: func(string) string { return "" }})
	return code, out.String(), talk.String()
}

func TestLockOutlivesTheProgram(t *testing.T) {
	data := dataDir(t)
	p := start(t, data)
	if err := p.ask(t, fleetlock.PreReboot, "m1"); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.cmd.Wait()

	p = start(t, data)
	if err := p.ask(t, fleetlock.PreReboot, "m2"); err == nil || !strings.Contains(err.Error(), "m1 holds one since") {
		t.Errorf("m2 after a kill of the program: %v", err)
	}
	if err := p.ask(t, fleetlock.PreReboot, "m1"); err != nil {
		t.Errorf("m1 does not keep its slot: %v", err)
	}
	operatorTakesItAway(t, data)
	if err := p.ask(t, fleetlock.PreReboot, "m2"); err != nil {
		t.Errorf("m2 after the release by hand: %v", err)
	}
	if err := p.ask(t, fleetlock.SteadyState, "m2"); err != nil {
		t.Error(err)
	}
	metrics(t, p)

	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the program ends with %v", err)
	}
	for _, socket := range []string{"admin.sock", "etcd.sock"} {
		if _, err := os.Stat(filepath.Join(data, socket)); err == nil {
			t.Errorf("%s is still there", socket)
		}
	}
}

func operatorTakesItAway(t *testing.T, data string) {
	t.Helper()
	code, out, talk := run(t, "lock", "list", "--data", data)
	if code != 0 || !regexp.MustCompile(`^GROUP +SLOTS +HOLDER +SINCE\ndefault +1 +m1 +20\S+Z\n$`).MatchString(out) {
		t.Errorf("list: %d, %q, %q", code, out, talk)
	}
	code, out, _ = run(t, "lock", "list", "--data", data, "--json")
	if code != 0 || !regexp.MustCompile(`^\[{"group":"default","slots":1,"holders":\[{"id":"m1","since":"20[^"]+Z"}\]}\]\n$`).MatchString(out) {
		t.Errorf("list as JSON: %d, %q", code, out)
	}
	if code, _, talk = run(t, "lock", "release", "m7", "--data", data); code != 1 || !strings.Contains(talk, "m7 holds no slot") || !strings.Contains(talk, "hint: ") {
		t.Errorf("release of another: %d, %q", code, talk)
	}
	if code, out, talk = run(t, "lock", "release", "m1", "--data", data); code != 0 || !strings.Contains(out, "m1 no longer") {
		t.Errorf("release: %d, %q, %q", code, out, talk)
	}
	if code, out, _ = run(t, "lock", "list", "--data", data); code != 0 || !strings.Contains(out, "default  1      -       -") {
		t.Errorf("list: %d, %q", code, out)
	}
}

func metrics(t *testing.T, p *process) {
	t.Helper()
	reply, err := http.Get(p.base + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil || !strings.Contains(string(body), `conifer_reboot_lock_slots_held{group="default"} 0`) || !strings.Contains(string(body), "process_") {
		t.Errorf("metrics: %v\n%s", err, body)
	}
}

// TestYourOwnEtcd lets one program use the etcd of another, as it would use a cluster of its own.
func TestYourOwnEtcd(t *testing.T) {
	theirs, ours := dataDir(t), dataDir(t)
	start(t, theirs)
	p := start(t, ours, "--etcd-endpoints", "unix://"+filepath.Join(theirs, "etcd.sock"), "--slots", "2")
	for _, id := range []string{"m1", "m2"} {
		if err := p.ask(t, fleetlock.PreReboot, id); err != nil {
			t.Error(err)
		}
	}
	code, out, _ := run(t, "lock", "list", "--data", theirs)
	if code != 0 || strings.Count(out, "default  2") != 2 {
		t.Errorf("the other sees %d, %q", code, out)
	}
	if _, err := os.Stat(filepath.Join(ours, "etcd")); err == nil {
		t.Error("an etcd of its own was started as well")
	}
}

func TestWrongUsage(t *testing.T) {
	dir := dataDir(t)
	file := filepath.Join(dir, "cluster.toml")
	text := "[groups]\ndefault = 2\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(dir, "none.toml")
	cases := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"unknown command", []string{"locks"}, 2, `unknown command "locks"`},
		{"unknown flag", []string{"--color"}, 2, "unknown flag"},
		{"negative slots", []string{"--config", none, "--data", dir, "--slots", "-1"}, 2, "-1 slots"},
		{"group default twice", []string{"--config", file, "--data", dir}, 2, "among the groups"},
		{"no machine", []string{"lock", "release", "--config", none}, 2, "0 machines"},
		{"no server", []string{"lock", "list", "--config", none, "--data", dir}, 1, "no conifer-cluster answers"},
		{"unreachable address", []string{"--config", none, "--data", dir, "--listen", "127.0.0.1:99999"}, 1, "99999"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			code, _, talk := run(t, c.args...)
			if code != c.code || !strings.Contains(talk, c.want) {
				t.Errorf("exit %d, %q; want %d with %q", code, talk, c.code, c.want)
			}
		})
	}
}

func TestFlagsGoBeforeFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cluster.toml")
	if err := os.WriteFile(file, []byte("slots = 3\nlisten = \"127.0.0.1:1\"\n[groups]\nworkers = 2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, talk := run(t, "config", "--config", file)
	if code != 0 || !strings.Contains(out, "slots = 3  # "+file) || !strings.Contains(out, `data = "/var/lib/conifer-cluster"  # default`) || !strings.Contains(out, "workers = 2") {
		t.Errorf("config: %d, %s %s", code, out, talk)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the program ends before it serves; what it was about to do shows in its message
	var stderr bytes.Buffer
	long := strings.Repeat("x", 120)
	code = Run(ctx, cli.Env{Args: []string{"--config", file, "--data", filepath.Join(t.TempDir(), long)}, Stderr: &stderr})
	if code != 2 || !strings.Contains(stderr.String(), long) {
		t.Errorf("--data is not obeyed: %d, %s", code, stderr.String())
	}
}
