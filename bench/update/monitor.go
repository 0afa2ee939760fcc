package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

// monitor speaks with QEMU, in its QMP.
type monitor struct {
	conn net.Conn
	dec  *json.Decoder
}

// monitorTimeout is for one question: QEMU answers between two instructions of the guest.
const monitorTimeout = time.Minute

func openMonitor(socket string) (*monitor, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	m := &monitor{conn, json.NewDecoder(conn)}
	var greeting struct{ QMP json.RawMessage }
	if err := m.dec.Decode(&greeting); err != nil || greeting.QMP == nil {
		return nil, errors.Join(fmt.Errorf("QEMU's monitor sends no greeting: %w", err), conn.Close())
	}
	if err := m.do("qmp_capabilities", nil, nil); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return m, nil
}

// Close leaves QEMU running.
func (m *monitor) Close() error { return m.conn.Close() }

// do gives a command and reads its answer. Events, which come in between, are passed over.
func (m *monitor) do(command string, arguments, answer any) error {
	m.conn.SetDeadline(time.Now().Add(monitorTimeout))
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	if err := json.NewEncoder(m.conn).Encode(request); err != nil {
		return fmt.Errorf("QEMU: %s: %w", command, err)
	}
	for {
		var got struct {
			Return json.RawMessage `json:"return"`
			Error  *struct {
				Desc string `json:"desc"`
			} `json:"error"`
		}
		if err := m.dec.Decode(&got); err != nil {
			return fmt.Errorf("QEMU: %s: %w", command, err)
		}
		switch {
		case got.Error != nil:
			return fmt.Errorf("QEMU: %s: %s", command, got.Error.Desc)
		case got.Return != nil && answer != nil:
			return json.Unmarshal(got.Return, answer)
		case got.Return != nil:
			return nil
		}
	}
}

// transfers is what a drive has done.
type transfers struct {
	ReadBytes    int64 `json:"rd_bytes"`
	Reads        int64 `json:"rd_operations"`
	ReadNanos    int64 `json:"rd_total_time_ns"`
	WrittenBytes int64 `json:"wr_bytes"`
	Writes       int64 `json:"wr_operations"`
	WriteNanos   int64 `json:"wr_total_time_ns"`
	Flushes      int64 `json:"flush_operations"`
}

func (t transfers) since(before transfers) transfers {
	return transfers{
		t.ReadBytes - before.ReadBytes, t.Reads - before.Reads, t.ReadNanos - before.ReadNanos,
		t.WrittenBytes - before.WrittenBytes, t.Writes - before.Writes, t.WriteNanos - before.WriteNanos, t.Flushes - before.Flushes,
	}
}

// diskName is what test/lab calls the machine's drive.
const diskName = "disk"

// transfers asks what the machine's drive has done since it was powered on.
func (m *monitor) transfers() (transfers, error) {
	var all []struct {
		Device string    `json:"device"`
		Stats  transfers `json:"stats"`
	}
	if err := m.do("query-blockstats", nil, &all); err != nil {
		return transfers{}, err
	}
	for _, one := range all {
		if one.Device == diskName {
			return one.Stats, nil
		}
	}
	return transfers{}, fmt.Errorf("QEMU knows no drive %q", diskName)
}

// drive is a disk as the machine is made to see it. Zero is no limit.
type drive struct {
	Name                string
	BytesPerSecond      int64
	OperationsPerSecond int64
}

// drives are what an update is measured on. QEMU counts a read or a write of any size as one operation.
var drives = []drive{
	{Name: "as it is"},
	{"SD card", 20_000_000, 500},
	{"few operations", 0, 100},
}

// slow makes the machine's drive like another one, from now on.
func (m *monitor) slow(d drive) error {
	return m.do("block_set_io_throttle", map[string]any{
		"device": diskName, "bps": d.BytesPerSecond, "bps_rd": 0, "bps_wr": 0, "iops": d.OperationsPerSecond, "iops_rd": 0, "iops_wr": 0,
	}, nil)
}
