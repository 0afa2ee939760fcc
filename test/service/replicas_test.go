package service

import (
	"context"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"conifer.dev/conifer/bench/service/load"
	"conifer.dev/conifer/bench/service/server"
	"conifer.dev/conifer/internal/service/store/postgres/pgtest"
)

// replicas starts servers that share a database; the first has the application.
func replicas(t *testing.T, n int) []*server.Server {
	t.Helper()
	url := pgtest.Database(t)
	all := []*server.Server{flatcar(t, server.Config{Database: url})}
	for range n - 1 {
		all = append(all, start(t, server.Config{Database: url}))
	}
	return all
}

// known waits until a replica offers the update of group stable.
func known(t *testing.T, s *server.Server) {
	t.Helper()
	eventually(t, "a replica knows what the first was told", func() bool {
		return len(offered(t, s, load.Flatcar("stable", server.OldVersion), 1)) == 1
	})
}

func TestReplicasAnswerAlike(t *testing.T) {
	all := replicas(t, 3)
	operate(t, all[0], "group set share --app flatcar --channel stable --percent 37")
	machines := few(300, 3000)
	share := load.Flatcar("share", server.OldVersion)
	var answers [3]map[int]bool
	for i, s := range all {
		eventually(t, "a replica knows the group", func() bool { return len(offered(t, s, share, 10)) > 0 })
		answers[i] = offered(t, s, share, machines)
	}
	if !maps.Equal(answers[0], answers[1]) || !maps.Equal(answers[0], answers[2]) {
		t.Errorf("replicas offered the update to %d, %d and %d machines, or to others", len(answers[0]), len(answers[1]), len(answers[2]))
	}
	if n := len(answers[0]); n < machines/4 || n > machines/2 {
		t.Errorf("%d of %d machines are 37 %%", n, machines)
	}
	operate(t, all[1], "release halt "+server.NewVersion+" --app flatcar --arch amd64 --reason torture")
	for _, s := range all {
		eventually(t, "a halt has reached every replica", func() bool {
			return len(offered(t, s, load.Flatcar("stable", server.OldVersion), 50)) == 0
		})
	}
}

// Whoever dies, the others go on, and together they never give more places than there are.
func TestReplicasShareLimitsAndMayDie(t *testing.T) {
	all := replicas(t, 3)
	operate(t, all[0], addLimited())
	for _, s := range all {
		known(t, s)
	}
	w := &witness{}
	stop := w.wantFrom(t.Context(), all)
	for i := range all {
		time.Sleep(200 * time.Millisecond)
		all[i].Kill()
		survivor := all[(i+1)%len(all)]
		if got := len(offered(t, survivor, load.Flatcar("stable", server.OldVersion), 20)); got != 20 {
			t.Errorf("after another's death a replica offers the update to %d of 20 machines", got)
		}
		all[i] = again(t, all[i])
	}
	stop()
	for _, s := range all {
		w.checkPlaces(t, s, len(all))
	}
}

// wantFrom lets machines ask for places at all replicas at once.
func (w *witness) wantFrom(ctx context.Context, all []*server.Server) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	for i := range askers * len(all) {
		asking.Go(func() { w.want(ctx, all[i%len(all)].Target(), i) })
	}
	return func() { cancel(); asking.Wait() }
}

// Replicas add to the same download counts, and one that dies takes none with it that was acknowledged.
func TestReplicasCountDownloadsTogether(t *testing.T) {
	all := replicas(t, 2)
	fleet := load.Flatcar("stable", server.OldVersion)
	known(t, all[1])
	const each = 20
	for i, s := range all {
		finished := fleet.Event(s.Target(), `eventtype="14" eventresult="1" nextversion="`+server.NewVersion+`"`)
		for machine := range each {
			if got := kind(t, s, finished, i*each+machine); got != load.Acknowledged {
				t.Fatalf("a report was answered with: %v", got)
			}
		}
	}
	all[0].Kill()
	out, err := all[1].Conifer(t.Context(), "rollout", "show", "stable", "--app", "flatcar")
	must(t, err)
	if want := "downloads    40 full, 19.1 GB"; !strings.Contains(out, want) {
		t.Errorf("no %q in\n%s", want, out)
	}
}
