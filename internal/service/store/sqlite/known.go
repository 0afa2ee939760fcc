package sqlite

import (
	"context"

	"conifer.dev/conifer/internal/service/store"
)

// Machines reads the machines with these ids; one that is not there is left out.
func (s *Store) Machines(ctx context.Context, app string, ids []string) ([]store.Machine, error) {
	number, ok := s.words.number(app)
	if !ok {
		return nil, nil
	}
	held, err := holders(ctx, s.reader)
	if err != nil {
		return nil, err
	}
	var all []store.Machine
	for _, id := range ids {
		err := s.machines(ctx, s.reader, span{number, id, id + "\x00"}, held, func(m store.Machine) error {
			all = append(all, m)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// number is the number of a word, for a reader.
func (w *words) number(text string) (int64, bool) {
	for n, t := range *w.texts.Load() {
		if t == text && n > 0 {
			return int64(n), true
		}
	}
	return 0, false
}
