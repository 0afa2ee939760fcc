package api

import (
	"github.com/prometheus/client_golang/prometheus"
)

// counts are the server's collectors.
type counts struct {
	seconds prometheus.Histogram
	shed    map[string]prometheus.Counter
	sheds   *prometheus.CounterVec
	logins  prometheus.Counter
	looked  []prometheus.Collector
}

// Why a machine's request was turned away.
const (
	busyProcessors = "processors"
	busyRequests   = "requests"
	busyReports    = "reports"
	busyLarge      = "large"
)

func newCounts(s *Server) *counts {
	c := &counts{
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "conifer_update_seconds", Help: "Time to answer a machine's request, from its header to its answer.",
			Buckets: []float64{.0001, .001, .01, .1, 1, 10},
		}),
		sheds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "conifer_updates_shed_total", Help: "Requests of machines that were turned away with 503, by what there was too much of.",
		}, []string{"busy"}),
		logins: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "conifer_wrong_tokens_total", Help: "Requests to the admin API with a wrong token.",
		}),
		shed: map[string]prometheus.Counter{},
	}
	for _, busy := range []string{busyProcessors, busyRequests, busyReports, busyLarge} {
		c.shed[busy] = c.sheds.WithLabelValues(busy)
	}
	c.looked = append(c.looked, gauge("conifer_updates_in_flight", "Requests of machines under way.", func() int { return s.updates.Inside() + s.reports.Inside() }))
	if s.Connections != nil {
		c.looked = append(c.looked, gauge("conifer_connections", "Open connections.", s.Connections.Open),
			gauge("conifer_connections_limit", "Connections that may be in service now; the others wait.", s.Connections.Limit),
			counter("conifer_connections_evicted_total", "Connections that were closed to make room for others.", s.Connections.Evicted),
			counter("conifer_connections_refused_total", "Connections that were answered 503 unread.", s.Connections.Refused))
	}
	return c
}

func gauge(name, help string, look func() int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(look()) })
}

func counter(name, help string, look func() int64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(look()) })
}

func (c *counts) collectors() []prometheus.Collector {
	return append([]prometheus.Collector{c.seconds, c.sheds, c.logins}, c.looked...)
}
