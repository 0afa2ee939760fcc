package sqlite

import (
	"cmp"
	"slices"
	"strings"

	"conifer.dev/conifer/internal/service/store"
)

// batch is the changes that are put aside to be written together, by their index.
type batch struct{ machines, events []int }

// flush writes what was put aside.
func (t *transaction) flush(b *batch, changes []store.Change) error {
	machines := rows{insert: machineInsert, columns: machineColumns}
	for _, i := range lastOfEach(b.machines, changes) {
		m := changes[i].(store.PutMachine).Machine
		if err := t.machineRow(&machines, &m); err != nil {
			return err
		}
	}
	events := rows{insert: eventInsert, columns: eventColumns}
	for _, i := range b.events {
		e := changes[i].(store.AddEvent).Event
		if err := t.eventRow(&events, &e); err != nil {
			return err
		}
	}
	*b = batch{b.machines[:0], b.events[:0]}
	if err := t.insertRest(&machines); err != nil {
		return err
	}
	return t.insertRest(&events)
}

// lastOfEach sorts puts of machines by their key, and leaves the last of each machine.
func lastOfEach(puts []int, changes []store.Change) []int {
	type keyed struct {
		app, id string
		index   int
	}
	all := make([]keyed, len(puts))
	for n, i := range puts {
		m := &all[n]
		put := changes[i].(store.PutMachine)
		m.app, m.id, m.index = put.Machine.App, put.Machine.ID, i
	}
	slices.SortFunc(all, func(a, b keyed) int {
		return cmp.Or(strings.Compare(a.app, b.app), strings.Compare(a.id, b.id), cmp.Compare(a.index, b.index))
	})
	last := puts[:0]
	for n, m := range all {
		if n+1 == len(all) || all[n+1].app != m.app || all[n+1].id != m.id {
			last = append(last, m.index)
		}
	}
	return last
}

// rows are collected until there are enough for a statement that inserts many.
type rows struct {
	insert  string // INSERT ... VALUES, without the values
	columns int
	args    []any
	texts   map[int]string // statements by how many rows they insert
}

// manyRows is what one statement inserts. More of them are not cheaper any more.
const manyRows = 64

// add adds a row, and inserts the rows when there are enough.
func (t *transaction) add(r *rows, args ...any) error {
	r.args = append(r.args, args...)
	if len(r.args) < manyRows*r.columns {
		return nil
	}
	err := t.exec(r.text(manyRows), r.args...)
	r.args = r.args[:0]
	return err
}

// insertRest inserts what is left, in few sizes so that their statements stay prepared.
func (t *transaction) insertRest(r *rows) error {
	rest := r.args
	for size := manyRows / 8; len(rest) > 0; size = max(1, size/8) {
		for ; len(rest) >= size*r.columns; rest = rest[size*r.columns:] {
			if err := t.exec(r.text(size), rest[:size*r.columns]...); err != nil {
				return err
			}
		}
	}
	r.args = r.args[:0]
	return nil
}

func (r *rows) text(size int) string {
	if text := r.texts[size]; text != "" {
		return text
	}
	if r.texts == nil {
		r.texts = map[int]string{}
	}
	row := "(?" + strings.Repeat(", ?", r.columns-1) + ")"
	r.texts[size] = r.insert + " " + row + strings.Repeat(", "+row, size-1)
	return r.texts[size]
}
