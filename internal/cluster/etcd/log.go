package etcd

import (
	"context"
	"log/slog"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// bridge sends what etcd logs with zap to slog. Etcd tells much that nobody acts upon, so everything is told
// one level lower than etcd thinks of it: its warnings are information, its information is for debugging. An
// error of a single request comes back as the request's error too.
type bridge struct{ log *slog.Logger }

func newZap(log *slog.Logger) *zap.Logger { return zap.New(bridge{log.With("part", "etcd")}) }

func level(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.DPanicLevel:
		return slog.LevelError
	case l == zapcore.ErrorLevel:
		return slog.LevelWarn
	case l == zapcore.WarnLevel:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// Enabled implements zapcore.Core.
func (b bridge) Enabled(l zapcore.Level) bool {
	return b.log.Enabled(context.Background(), level(l))
}

// With implements zapcore.Core.
func (b bridge) With(fields []zapcore.Field) zapcore.Core {
	return bridge{b.log.With(attributes(fields)...)}
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
	b.log.Log(context.Background(), level(entry.Level), entry.Message, attributes(fields)...)
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
