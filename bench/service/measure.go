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
	for _, known := range sizes {
		outcomes, err := measureOurs(ctx, &s, known)
		if err != nil {
			return err
		}
		r.ours = append(r.ours, outcomes...)
	}
	if s.wants("many") && s.many > 0 {
		if r.many, err = measureMany(ctx, &s); err != nil {
			return err
		}
	}
	return r.write()
}

// parse checks the rows, and returns the sizes.
func (s *settings) parse() (sizes []int, err error) {
	known := append([]string{"many", ""}, shown...)
	for name := range strings.SplitSeq(s.rows, ",") {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no row %q; there are %s", name, strings.Join(known, " "))
		}
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

func measureOurs(ctx context.Context, s *settings, known int) ([]outcome, error) {
	if !s.any() {
		return nil, nil
	}
	o, err := startOurs(ctx, s, known)
	if err != nil {
		return nil, err
	}
	outcomes, err := measureRows(ctx, s, o, known)
	return outcomes, errors.Join(err, o.close())
}

// measureRows measures one service, row by row.
func measureRows(ctx context.Context, s *settings, of subject, known int) (all []outcome, err error) {
	for _, row := range rows {
		if !s.wants(row.name) {
			continue
		}
		if err := of.set(ctx, row.policy); err != nil {
			return nil, err
		}
		plan := row.plan(known, s)
		plan.Target, plan.Watch = of.target(), of.watch()
		result, err := load.Run(ctx, plan)
		if err != nil {
			return nil, err
		}
		talk("%s, %s known: %s", row.title, page.Number(known), result)
		all = append(all, outcome{row, known, result})
	}
	return all, ctx.Err()
}
