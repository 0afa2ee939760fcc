package etcd

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// bridge sends what etcd logs with zap to slog. Etcd tells much that nobody acts upon, so everything is told
// one level lower than etcd thinks of it: its warnings are information, its information is for debugging. An
// error of a single request comes back as the request's error too.
type bridge struct {
	log      *slog.Logger
	stopping *atomic.Bool // while it is set all is for debugging: etcd reports its own stop as errors
}

func newZap(log *slog.Logger, stopping *atomic.Bool) *zap.Logger {
	return zap.New(bridge{log.With("part", "etcd"), stopping})
}

// besides are warnings that do not hold for a server of one member behind a socket in a closed folder.
var besides = map[string]bool{
	"Running http and grpc server on single port. This is not recommended for production.": true,
	"simple token is not cryptographically signed":                                         true,
}

func (b bridge) level(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.DPanicLevel:
		return slog.LevelError
	case b.stopping.Load():
		return slog.LevelDebug
	case l == zapcore.ErrorLevel:
		return slog.LevelWarn
	case l == zapcore.WarnLevel:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// Enabled implements zapcore.Core.
func (b bridge) Enabled(l zapcore.Level) bool {
	return b.log.Enabled(context.Background(), b.level(l))
}

// With implements zapcore.Core.
func (b bridge) With(fields []zapcore.Field) zapcore.Core {
	return bridge{b.log.With(attributes(fields)...), b.stopping}
}

// Check implements zapcore.Core.
func (b bridge) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(entry.Level) {
		return checked.AddCore(entry, b)
	}
	return checked
}

// Write implements zapcore.Core.
func (b bridge) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	level := b.level(entry.Level)
	if besides[entry.Message] {
		level = slog.LevelDebug
	}
	b.log.Log(context.Background(), level, entry.Message, attributes(fields)...)
	return nil
}

// Sync implements zapcore.Core.
func (b bridge) Sync() error { return nil }

func attributes(fields []zapcore.Field) []any {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	var attrs []any
	for _, f := range fields {
		if value, ok := enc.Fields[f.Key]; ok {
			attrs = append(attrs, slog.Any(f.Key, value))
		}
	}
	return attrs
}
