package fleet

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the fleet's collectors.
type Metrics struct {
	contacts *prometheus.CounterVec
	events   prometheus.Counter
	machines prometheus.GaugeFunc
	batches  prometheus.Histogram
}

func newMetrics(f *Fleet) *Metrics {
	return &Metrics{
		contacts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "conifer_contacts_total", Help: "Requests of machines for one application, by what they were told.",
		}, []string{"answer"}),
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "conifer_events_total", Help: "Events that machines reported.",
		}),
		machines: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "conifer_machines", Help: "Machines that are known.",
		}, f.machineCount),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "conifer_store_batch_changes", Help: "Changes written in one transaction.", Buckets: prometheus.ExponentialBuckets(1, 4, 8),
		}),
	}
}

// Collectors lists them, for a registry.
func (m *Metrics) Collectors() []prometheus.Collector {
	return []prometheus.Collector{m.contacts, m.events, m.machines, m.batches}
}

func (m *Metrics) count(c Contact, a Answer) {
	m.events.Add(float64(len(c.Events)))
	switch {
	case !a.Known:
		m.contacts.WithLabelValues("unknown").Inc()
	case a.Decision.Offered():
		m.contacts.WithLabelValues("offer").Inc()
	case c.Check:
		m.contacts.WithLabelValues("noupdate").Inc()
	default:
		m.contacts.WithLabelValues("ack").Inc()
	}
}

func (f *Fleet) machineCount() float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, a := range f.memory.apps {
		n += len(a.machines)
	}
	return float64(n)
}
