package fleet

import (
	"github.com/prometheus/client_golang/prometheus"

	"conifer.dev/conifer/internal/service/store"
)

// Metrics are the fleet's collectors. The counters of a contact are looked up once and not for each.
type Metrics struct {
	contacts                       *prometheus.CounterVec
	unknown, offer, noUpdate, acks prometheus.Counter
	events                         prometheus.Counter
	downloads, bytes               *prometheus.CounterVec
	saved, failedDeltas            prometheus.Counter
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
		downloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "conifer_downloads_total", Help: "Downloads that machines reported to be finished, by the kind of payload.",
		}, []string{"kind"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "conifer_download_bytes_total", Help: "Sizes of the payloads of these downloads.",
		}, []string{"kind"}),
		saved: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "conifer_download_saved_bytes_total", Help: "How much more the full payload in place of the deltas would have been.",
		}),
		failedDeltas: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "conifer_deltas_failed_total", Help: "Deltas that machines gave up for the full payload.",
		}),
		unknown: contacts.WithLabelValues("unknown"), offer: contacts.WithLabelValues("offer"),
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
	return []prometheus.Collector{m.contacts, m.events, m.downloads, m.bytes, m.saved, m.failedDeltas, m.machines, m.batches, m.ready}
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

func (m *Metrics) countDownload(t store.Traffic) {
	if t.Fulls > 0 {
		m.downloads.WithLabelValues("full").Add(float64(t.Fulls))
		m.bytes.WithLabelValues("full").Add(float64(t.FullBytes))
	}
	if t.Deltas > 0 {
		m.downloads.WithLabelValues("delta").Add(float64(t.Deltas))
		m.bytes.WithLabelValues("delta").Add(float64(t.DeltaBytes))
	}
	m.saved.Add(float64(t.SavedBytes))
	m.failedDeltas.Add(float64(t.FailedDeltas))
}

func (f *Fleet) machineCount() float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return float64(len(f.memory.machines.index))
}
