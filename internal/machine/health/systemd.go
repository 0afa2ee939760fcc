package health

import (
	"context"
	"fmt"
	"strings"

	"github.com/coreos/go-systemd/v22/dbus"

	"conifer.dev/conifer/internal/fault"
)

// Systemd is the system manager of this machine, asked over its private socket, so that the image needs no message
// bus. Every call makes a connection of its own, which is cheap and survives that systemd executes itself anew.
type Systemd struct{}

func (Systemd) with(ctx context.Context, use func(*dbus.Conn) error) error {
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		var busErr error
		if conn, busErr = dbus.NewSystemConnectionContext(ctx); busErr != nil {
			return fault.New(fault.Unavailable, "connect to systemd: %w", err)
		}
	}
	defer conn.Close()
	return fault.Wrap(fault.Unavailable, use(conn))
}

// State implements Manager.
func (s Systemd) State(ctx context.Context) (state string, err error) {
	err = s.with(ctx, func(conn *dbus.Conn) error {
		p, err := conn.SystemStateContext(ctx)
		if err != nil {
			return fmt.Errorf("read the state of systemd: %w", err)
		}
		state, _ = p.Value.Value().(string)
		return nil
	})
	return state, err
}

// Units implements Manager.
func (s Systemd) Units(ctx context.Context) (units []Unit, err error) {
	err = s.with(ctx, func(conn *dbus.Conn) error {
		all, err := conn.ListUnitsContext(ctx)
		if err != nil {
			return fmt.Errorf("list units: %w", err)
		}
		for _, status := range all {
			if u := (Unit{Name: status.Name, Active: status.ActiveState, Sub: status.SubState}); u.Active != "inactive" {
				units = append(units, detail(ctx, conn, u))
			}
		}
		return nil
	})
	return units, err
}

// detail adds what only a service has. A service that is gone meanwhile has nothing to add.
func detail(ctx context.Context, conn *dbus.Conn, u Unit) Unit {
	if !strings.HasSuffix(u.Name, ".service") || u.Active == "active" && u.Sub != "running" {
		return u
	}
	if p, err := conn.GetUnitTypePropertyContext(ctx, u.Name, "Service", "NRestarts"); err == nil {
		n, _ := p.Value.Value().(uint32)
		u.Restarts = int(n)
	}
	if u.Active != "activating" {
		return u
	}
	if p, err := conn.GetUnitTypePropertyContext(ctx, u.Name, "Service", "Type"); err == nil {
		kind, _ := p.Value.Value().(string)
		u.Oneshot = kind == "oneshot"
	}
	return u
}

// Reboot asks for an orderly reboot: the same job that `systemctl reboot` starts.
func (s Systemd) Reboot(ctx context.Context) error {
	return s.with(ctx, func(conn *dbus.Conn) error {
		_, err := conn.StartUnitContext(ctx, "reboot.target", "replace-irreversibly", nil)
		return err
	})
}
