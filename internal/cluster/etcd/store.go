package etcd

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"conifer.dev/conifer/internal/fault"
)

// Config says which etcd to use.
type Config struct {
	Endpoints []string // URLs: http, https or unix
	CAFile    string   // who signed the server's certificate; empty: whom the system trusts
	CertFile  string   // the client's certificate, with KeyFile; may be empty
	KeyFile   string
}

// Store is a KV on an etcd server.
type Store struct{ client *clientv3.Client }

// reconnect keeps a server that came back from waiting for us: gRPC's own pauses grow to two minutes.
var reconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
	MinConnectTimeout: 3 * time.Second,
}

// Dial prepares the connection. It does not wait for it: a server may start before its etcd.
func Dial(c Config, log *slog.Logger) (*Store, error) {
	if len(c.Endpoints) == 0 {
		return nil, fault.New(fault.Invalid, "no etcd endpoints are given")
	}
	config := clientv3.Config{
		Endpoints:            c.Endpoints,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 3 * time.Second,
		DialOptions:          []grpc.DialOption{grpc.WithConnectParams(reconnect)},
		Logger:               newZap(log, new(atomic.Bool)),
	}
	if c.CAFile != "" || c.CertFile != "" || c.KeyFile != "" {
		info := transport.TLSInfo{TrustedCAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile}
		tls, err := info.ClientConfig()
		if err != nil {
			return nil, fault.New(fault.Invalid, "read etcd certificates: %w", err)
		}
		config.TLS = tls
	}
	client, err := clientv3.New(config)
	if err != nil {
		return nil, fault.New(fault.Invalid, "etcd endpoints: %w", err)
	}
	return &Store{client}, nil
}

// Close gives up the connection.
func (s *Store) Close() error { return s.client.Close() }

// Load implements KV. Reads are linearizable, etcd's default.
func (s *Store) Load(ctx context.Context, key string) (Value, error) {
	got, err := s.client.Get(ctx, key)
	if err != nil {
		return Value{}, classify(ctx, err)
	}
	if len(got.Kvs) == 0 {
		return Value{}, nil
	}
	return Value{got.Kvs[0].Value, got.Kvs[0].ModRevision}, nil
}

// Swap implements KV in one transaction, which also returns what is there if it is not what was expected.
func (s *Store) Swap(ctx context.Context, key string, revision int64, text []byte) (Value, bool, error) {
	done, err := s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).
		Then(clientv3.OpPut(key, string(text))).
		Else(clientv3.OpGet(key)).
		Commit()
	if err != nil {
		return Value{}, false, classify(ctx, err)
	}
	if done.Succeeded {
		return Value{text, done.Header.Revision}, true, nil
	}
	kvs := done.Responses[0].GetResponseRange().Kvs
	if len(kvs) == 0 {
		return Value{}, false, nil
	}
	return Value{kvs[0].Value, kvs[0].ModRevision}, false, nil
}

// List implements KV.
func (s *Store) List(ctx context.Context, prefix string) (map[string]Value, error) {
	got, err := s.client.Get(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, classify(ctx, err)
	}
	found := map[string]Value{}
	for _, kv := range got.Kvs {
		found[string(kv.Key)] = Value{kv.Value, kv.ModRevision}
	}
	return found, nil
}

// classify gives an error of etcd its meaning: nearly all are a server that cannot answer now.
func classify(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fault.Wrap(fault.Canceled, err)
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fault.New(fault.Exhausted, "etcd: %w", err).
			WithHint("Compact and defragment etcd, then disarm its alarm with `etcdctl alarm disarm`.")
	case errors.Is(err, rpctypes.ErrPermissionDenied), errors.Is(err, rpctypes.ErrUserEmpty):
		return fault.New(fault.Forbidden, "etcd: %w", err)
	}
	return fault.New(fault.Unavailable, "etcd does not answer: %w", err)
}
