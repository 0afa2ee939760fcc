// Package edge stands between the network and the routes of the service: it keeps a crowd, a slow peer or a wrong one from
// taking the service away from everybody else.
//
// Start with [Connections], which bounds how many there are, and how many of them the processors serve at a time; [Left] tells how much of the
// time for an answer a request has lost by waiting, and [Leaving] whether its connection has to end; [Gate] bounds the requests
// under way; [Rates] is how often one address may ask; [Proxies] tells whose address a request has; [Certificate] is the service's
// own, and follows its files. None of them knows what a request is about. What is turned away costs less than an answer.
package edge

import (
	"log/slog"
	"net/http"
	"time"
)

// How long a peer may take. What is small comes and goes within a few seconds even over a bad line; a handler that moves files
// sets deadlines of its own for each chunk. The header and the body share one deadline, which costs one timer instead of two.
const (
	receiving = 10 * time.Second
	answering = 30 * time.Second
	idle      = 2 * time.Minute
)

// maxHeaderBytes is several times what a browser sends, and maxStreams as many requests as a proxy has need of on one connection of
// HTTP/2, where each takes the memory of one.
const (
	maxHeaderBytes = 16 << 10
	maxStreams     = 32
)

// Serve makes a server for the handler whose connections are counted and bounded by c.
func Serve(handler http.Handler, c *Connections, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: handler, ConnState: c.state, ConnContext: c.remember,
		ReadHeaderTimeout: receiving, ReadTimeout: receiving, WriteTimeout: answering, IdleTimeout: idle,
		MaxHeaderBytes: maxHeaderBytes, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), // what it tells of is peers that went away
	}
}
