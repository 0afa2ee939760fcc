package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
)

// maxWords is how many words are kept as numbers: of two bytes in a row, and far more than a fleet has versions and groups. Machines
// choose these texts, so there must be an end to it; what comes after is kept as text.
const maxWords = 1 << 15

// words are the texts that many rows share, by number and back.
type words struct {
	texts   atomic.Pointer[[]string] // by number, for everybody
	numbers map[string]int64         // for the transaction that writes
	added   []string                 // by the transaction that writes
	kept    int                      // texts that are not only added
}

func (w *words) read(ctx context.Context, db *sql.DB) error {
	w.numbers = map[string]int64{}
	texts := []string{""} // numbers begin with 1
	err := each(ctx, db, func(rows *sql.Rows) error {
		var number int64
		var text string
		if err := rows.Scan(&number, &text); err != nil {
			return err
		}
		for int64(len(texts)) <= number {
			texts = append(texts, "")
		}
		texts[number], w.numbers[text] = text, number
		return nil
	}, `SELECT number, text FROM word ORDER BY number`)
	w.texts.Store(&texts)
	w.kept = len(texts)
	return err
}

// text is what a column holds: a word's number, or a text.
func (w *words) text(column any) string {
	switch v := column.(type) {
	case int64:
		if texts := *w.texts.Load(); v > 0 && v < int64(len(texts)) {
			return texts[v]
		}
		return fmt.Sprintf("unknown word %d", v)
	case string:
		return v
	}
	return fmt.Sprint(column)
}

// word is what a column is to hold for a text.
func (t *transaction) word(text string) (any, error) {
	w := t.words
	if number, ok := w.numbers[text]; ok {
		return number, nil
	}
	if len(w.numbers) >= maxWords {
		return text, nil
	}
	return t.newWord(text)
}

// appNumber is the word of an application, which has one however many there are.
func (t *transaction) appNumber(id string) (int64, error) {
	if number, ok := t.words.numbers[id]; ok {
		return number, nil
	}
	return t.newWord(id)
}

func (t *transaction) newWord(text string) (int64, error) {
	w := t.words
	number := int64(w.kept + len(w.added))
	if err := t.exec(`INSERT INTO word (number, text) VALUES (?, ?)`, number, text); err != nil {
		return 0, err
	}
	w.added = append(w.added, text)
	w.numbers[text] = number
	return number, nil
}

// publish shows the words of a transaction to those who read, before they can read rows that have them.
func (w *words) publish() {
	if len(w.added) == 0 {
		return
	}
	texts := append((*w.texts.Load())[:w.kept:w.kept], w.added...) // a copy
	w.texts.Store(&texts)
}

// keep ends a transaction that was committed.
func (w *words) keep() {
	w.kept += len(w.added)
	w.added = w.added[:0]
}

// forget ends a transaction that was not: no row has its words, and the next may give their numbers to others.
func (w *words) forget() {
	for _, text := range w.added {
		delete(w.numbers, text)
	}
	w.added = w.added[:0]
	texts := (*w.texts.Load())[:w.kept]
	w.texts.Store(&texts)
}
