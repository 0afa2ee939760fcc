package etcd

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"conifer.dev/conifer/internal/cluster/reboot"
)

const lockSlots = 2

// unknown is the verdict of a request whose answer was lost.
const unknown reboot.Verdict = "unknown"

// lockModel is the reboot lock written down a second time, as a set of names: what every client may have seen.
var lockModel = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		holders := strings.Fields(state.(string))
		event, verdict := input, output.(reboot.Verdict)
		switch e := event.(type) {
		case reboot.Acquire:
			want := reboot.Busy
			if slices.Contains(holders, e.ID) {
				want = reboot.Kept
			} else if len(holders) < lockSlots {
				want, holders = reboot.Granted, append(holders, e.ID)
			}
			slices.Sort(holders)
			return verdict == want || verdict == unknown, strings.Join(holders, " ")
		case reboot.Release:
			i := slices.Index(holders, e.ID)
			if i < 0 {
				return verdict == reboot.Absent || verdict == unknown, state
			}
			return verdict == reboot.Released || verdict == unknown, strings.Join(slices.Delete(holders, i, i+1), " ")
		}
		return false, state
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %v", input, output) },
}

// history records operations of several clients.
type history struct {
	mu    sync.Mutex
	begin time.Time
	ops   []porcupine.Operation
}

func (h *history) run(client int, locks *Locks, event reboot.Event) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	op := porcupine.Operation{ClientId: client, Input: event, Call: int64(time.Since(h.begin))}
	out, err := locks.Apply(ctx, "linear", event)
	op.Output, op.Return = out.Verdict, int64(time.Since(h.begin))
	if err != nil { // it may take effect at any time from here on
		op.Output, op.Return = unknown, math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
	return err
}

// play lets clients with a connection each fight for the slots, with names that several of them use. Each makes
// at least so many requests, and then goes on until enough is closed or an answer is lost. It returns when every
// client has made its first half.
func (h *history) play(t *testing.T, endpoint string, round, requests int, enough <-chan struct{}) *sync.WaitGroup {
	const clients = 6
	var all, half sync.WaitGroup
	half.Add(clients)
	for client := range clients {
		locks := NewLocks(dial(t, endpoint), time.Now)
		reached := sync.OnceFunc(half.Done)
		all.Go(func() {
			defer reached()
			for i := 0; i < requests || open(enough); i++ {
				// A client whose request was lost says nothing more in this round; its number is used once.
				if h.run(round*clients+client, locks, eventOf(client, i)) != nil {
					return
				}
				if i == requests/2 {
					reached()
				}
			}
		})
	}
	half.Wait()
	return &all
}

func open(c <-chan struct{}) bool {
	select {
	case <-c:
		return false
	default:
		return true
	}
}

func eventOf(client, i int) reboot.Event {
	id := fmt.Sprint("m", (client+i)%4)
	if (client*7+i*3)%5 < 2 {
		return reboot.Release{ID: id}
	}
	return reboot.Acquire{ID: id}
}

func TestLocksAreLinearizableAcrossARestart(t *testing.T) {
	dir := dataDir(t)
	server := embedded(t, dir)
	if _, err := NewLocks(dial(t, server.Endpoint()), time.Now).Apply(t.Context(), "linear", reboot.Resize{Slots: lockSlots}); err != nil {
		t.Fatal(err)
	}
	h := &history{begin: time.Now()}
	enough := make(chan struct{})
	first := h.play(t, server.Endpoint(), 0, 12, enough)
	// Requests go on while the server goes down and comes back.
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	server = embedded(t, dir)
	defer server.Close()
	close(enough)
	first.Wait()
	h.play(t, server.Endpoint(), 1, 12, enough).Wait()

	lost := 0
	for _, op := range h.ops {
		if op.Output == unknown {
			lost++
		}
	}
	t.Logf("%d operations, %d without an answer", len(h.ops), lost)
	if len(h.ops)-lost < 100 {
		t.Errorf("only %d operations were answered", len(h.ops)-lost)
	}
	if !porcupine.CheckOperations(lockModel, h.ops) {
		t.Errorf("the history is not linearizable: %v", h.ops)
	}
}

// TestTheModelCanRefuse shows that the check above is one.
func TestTheModelCanRefuse(t *testing.T) {
	grant := func(id string, at int64) porcupine.Operation {
		return porcupine.Operation{ClientId: int(at), Input: reboot.Acquire{ID: id}, Output: reboot.Granted, Call: at, Return: at + 1}
	}
	ops := []porcupine.Operation{grant("m1", 0), grant("m2", 10)}
	if !porcupine.CheckOperations(lockModel, ops) {
		t.Error("two grants of two slots were refused")
	}
	if porcupine.CheckOperations(lockModel, append(ops, grant("m3", 20))) {
		t.Error("three grants of two slots were accepted")
	}
}
