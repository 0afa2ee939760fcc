package api

import "conifer.dev/conifer/internal/service/edge"

// Fill takes all places that requests of machines may have that only ask, until empty is called.
func (s *Server) Fill() (empty func()) { return fill(s.updates) }

// FillReports takes all places that those may have that report.
func (s *Server) FillReports() (empty func()) { return fill(s.reports) }

// FillLarge takes all places that large requests may have.
func (s *Server) FillLarge() (empty func()) { return fill(s.large) }

func fill(g *edge.Gate) func() {
	n := 0
	for g.Enter() {
		n++
	}
	return func() {
		for range n {
			g.Leave()
		}
	}
}
