package fleet

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the fleet's collectors. The counters of a contact are looked up once and not for each.
type Metrics struct {
	contacts                       *prometheus.CounterVec
	unknown, offer, noUpdate, acks prometheus.Counter
	events                         prometheus.Counter
	machines                       prometheus.GaugeFunc
	batches                        prometheus.Histogram
	ready                          prometheus.GaugeFunc
}

func newMetrics(f *Fleet) *Metrics {
	contacts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "conifer_contacts_total", Help: "Requests of machines for one application, by what they were told.",
	}, []string{"answer"})
	return &Metrics{
		contacts: contacts,
		unknown:  contacts.WithLabelValues("unknown"), offer: contacts.WithLabelValues("offer"),
		noUpdate: contacts.WithLabelValues("noupdate"), acks: contacts.WithLabelValues("ack"),
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "conifer_events_total", Help: "Events that machines reported.",
		}),
		machines: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "conifer_machines", Help: "Machines that are known.",
		}, f.machineCount),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "conifer_store_batch_changes", Help: "Changes written in one transaction.", Buckets: prometheus.ExponentialBuckets(1, 4, 8),
		}),
		ready: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "conifer_database_ready", Help: "Whether the database takes changes.",
		}, func() float64 {
			if f.Ready() {
				return 1
			}
			return 0
		}),
	}
}

// Collectors lists them, for a registry.
func (m *Metrics) Collectors() []prometheus.Collector {
	return []prometheus.Collector{m.contacts, m.events, m.machines, m.batches, m.ready}
}

func (m *Metrics) count(check bool, a Answer) {
	switch {
	case a.Release != nil:
		m.offer.Inc()
	case check:
		m.noUpdate.Inc()
	default:
		m.acks.Inc()
	}
}

func (f *Fleet) machineCount() float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return float64(len(f.memory.machines.index))
}
