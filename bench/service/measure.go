package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"conifer.dev/conifer/bench/page"
	"conifer.dev/conifer/bench/service/load"
)

// measureAll measures what the flags ask for and writes the report.
func measureAll(ctx context.Context, args []string) error {
	var s settings
	if err := s.flags().Parse(args); err != nil {
		return err
	}
	sizes, err := s.parse()
	if err != nil {
		return err
	}
	r := report{settings: s, conditions: page.Conditions()}
	if s.peer != "" {
		if r.peer, err = measurePeer(ctx, &s); err != nil {
			return err
		}
	}
	if s.any() {
		if r.ours, err = measureOurs(ctx, &s, sizes); err != nil {
			return err
		}
	}
	if s.wants("many") && s.many > 0 {
		if r.many, err = measureMany(ctx, &s); err != nil {
			return err
		}
	}
	return r.write()
}

// parse checks the rows and turns, and returns the sizes.
func (s *settings) parse() (sizes []int, err error) {
	known := append([]string{"many", ""}, shown...)
	for name := range strings.SplitSeq(s.rows, ",") {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no row %q; there are %s", name, strings.Join(known, " "))
		}
	}
	if s.turns < 1 {
		return nil, fmt.Errorf("%d turns are none", s.turns)
	}
	for text := range strings.FieldsFuncSeq(s.sizes, func(r rune) bool { return r == ',' }) {
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 {
			return nil, fmt.Errorf("%q is no number of machines", text)
		}
		sizes = append(sizes, n)
	}
	return sizes, nil
}

func (s *settings) wants(row string) bool {
	return s.rows == "" || slices.Contains(strings.Split(s.rows, ","), row)
}

// any reports whether a row is wanted that needs known machines.
func (s *settings) any() bool { return slices.ContainsFunc(shown, s.wants) }

// measureOurs measures a server of each size, all of which run from the first row to the last.
func measureOurs(ctx context.Context, s *settings, sizes []int) (all []outcome, err error) {
	var of []sized
	defer func() {
		for _, o := range of {
			err = errors.Join(err, o.close())
		}
	}()
	for _, known := range sizes {
		o, err := startOurs(ctx, s, known)
		if err != nil {
			return nil, err
		}
		of = append(of, sized{o, known})
	}
	return measureRows(ctx, s, of...)
}

// sized is a service, and how many machines it knows.
type sized struct {
	subject
	known int
}

// measureRows measures services row by row, and in each row in turns, so that what else the computer does meets all of them alike.
func measureRows(ctx context.Context, s *settings, of ...sized) (all []outcome, err error) {
	for _, row := range rows {
		if !s.wants(row.name) {
			continue
		}
		outcomes := make([]outcome, len(of))
		for i, o := range of {
			if err := o.set(ctx, row.policy); err != nil {
				return nil, err
			}
			outcomes[i] = outcome{row: row, known: o.known}
		}
		for turn := range s.turns {
			for i := range of {
				result, err := measureAlone(ctx, row.plan(of[i].known, turn, s), of, i)
				if err != nil {
					return nil, err
				}
				talk("%s, %s known, turn %d of %d: %s", row.title, page.Number(of[i].known), turn+1, s.turns, result)
				outcomes[i].turns = append(outcomes[i].turns, result)
			}
		}
		all = append(all, outcomes...)
	}
	return all, ctx.Err()
}

// measureAlone measures one service while the others, which have something to write for some time after they were asked, stand still.
func measureAlone(ctx context.Context, plan load.Plan, of []sized, i int) (load.Result, error) {
	for j, other := range of {
		if o, ok := other.subject.(*ours); ok && j != i {
			o.Freeze(true)
			defer o.Freeze(false)
		}
	}
	plan.Target, plan.Watch = of[i].target(), of[i].watch()
	return load.Run(ctx, plan)
}
