package api

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the collectors of a server. The state of the locks is read when it is asked for, because other
// servers on the same store change it too. Only configured groups are labels, so that nobody can invent series.
type Metrics struct {
	locks    Locks
	groups   map[string]int
	requests *prometheus.CounterVec

	up, slots, held, oldest *prometheus.Desc
}

func newMetrics(locks Locks, groups map[string]int) *Metrics {
	group := []string{"group"}
	return &Metrics{
		locks: locks, groups: groups,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "conifer_reboot_lock_requests_total",
			Help: "FleetLock requests by endpoint and what became of them.",
		}, []string{"endpoint", "result"}),
		up:     prometheus.NewDesc("conifer_reboot_lock_store_up", "Whether the store of the locks answers.", nil, nil),
		slots:  prometheus.NewDesc("conifer_reboot_lock_slots", "How many machines of the group may reboot at a time.", group, nil),
		held:   prometheus.NewDesc("conifer_reboot_lock_slots_held", "How many machines of the group hold a slot.", group, nil),
		oldest: prometheus.NewDesc("conifer_reboot_lock_oldest_holder_timestamp_seconds", "Since when the longest holder of the group has its slot; absent when there is none.", group, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(c chan<- *prometheus.Desc) {
	m.requests.Describe(c)
	for _, d := range []*prometheus.Desc{m.up, m.slots, m.held, m.oldest} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(c chan<- prometheus.Metric) {
	m.requests.Collect(c)
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	states, err := m.locks.List(ctx)
	if err != nil {
		gauge(m.up, 0)
		return
	}
	gauge(m.up, 1)
	for group := range m.groups {
		state, ok := states[group]
		if !ok {
			continue
		}
		gauge(m.slots, float64(state.Slots), group)
		gauge(m.held, float64(len(state.Holders)), group)
		if len(state.Holders) > 0 {
			gauge(m.oldest, float64(state.Holders[0].Since.UnixNano())/float64(time.Second), group)
		}
	}
}
