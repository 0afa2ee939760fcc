// Command web is the application that the demo and the tests run on every machine: it answers HTTP with a
// line, or with the digest of something that it reads from the disk. It exists to be disturbed by updates as little as possible.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	host, err := os.Hostname()
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "hello from %s\n", host) })
	mux.HandleFunc("GET /work", work)
	server := &http.Server{Addr: ":8080", Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: time.Minute}
	log.Fatal(server.ListenAndServe())
}
