package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"modernc.org/sqlite"

	"conifer.dev/conifer/internal/fault"
)

// session is the connection that writes, with the statements that it has prepared.
type session struct {
	conn       *sql.Conn
	statements map[string]*sql.Stmt
}

// transaction is what one write does. Its statements are not canceled half way: each of them is short.
type transaction struct {
	*session
	words *words
}

// write makes one transaction of what do does, which is on the disk when it returns.
func (s *Store) write(ctx context.Context, do func(*transaction) error) error {
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.Canceled, err)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.connected(ctx); err != nil {
		return refused(err)
	}
	committed := false
	defer func() { // also when do panics
		if !committed {
			s.rollback()
		}
	}()
	if err := (&transaction{s.session, &s.words}).run(do); err != nil {
		return refused(err)
	}
	committed = true
	return nil
}

// connected makes the connection that writes, when there is none or none any more.
func (s *Store) connected(ctx context.Context) error {
	if s.session != nil {
		return nil
	}
	conn, err := s.writer.Conn(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	s.session = &session{conn, map[string]*sql.Stmt{}}
	return nil
}

// rollback undoes a transaction. A connection where that cannot be done is in a state that nobody knows, and another takes its place.
func (s *Store) rollback() {
	s.words.forget()
	if s.session.exec("ROLLBACK") != nil {
		s.session.close() // the caller is told of the error before
		s.session = nil
	}
}

func (t *transaction) run(do func(*transaction) error) error {
	if err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := do(t); err != nil {
		return err
	}
	t.words.publish()
	if err := t.exec("COMMIT"); err != nil {
		return err
	}
	t.words.keep()
	return nil
}

// refused is what a caller is told of a write that failed.
func refused(err error) error {
	hint := "Look whether the disk of the data folder is full or failing; the service goes on by itself when it is not any more."
	var cause *sqlite.Error
	if errors.As(err, &cause) && cause.Code()&0xff == constraint {
		hint = "What it refers to was removed meanwhile, or what it removes is referred to; look again, and repeat it."
	}
	return fault.New(fault.Unavailable, "the database does not take a change: %w", err).WithHint("%s", hint)
}

// constraint is the primary result code of a broken rule, SQLITE_CONSTRAINT (https://www.sqlite.org/rescode.html).
const constraint = 19

// prepared is the statement of the text, prepared once for each connection. The texts are few: none has a value in it.
func (s *session) prepared(text string) (*sql.Stmt, error) {
	if stmt := s.statements[text]; stmt != nil {
		return stmt, nil
	}
	stmt, err := s.conn.PrepareContext(context.Background(), text)
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", text, err)
	}
	s.statements[text] = stmt
	return stmt, nil
}

func (s *session) exec(text string, args ...any) error {
	_, err := s.count(text, args...)
	return err
}

// count executes a statement, and returns how many rows it changed.
func (s *session) count(text string, args ...any) (int64, error) {
	stmt, err := s.prepared(text)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// find reads the only row that a query has, and tells whether there is one.
func (s *session) find(dest []any, text string, args ...any) (bool, error) {
	stmt, err := s.prepared(text)
	if err != nil {
		return false, err
	}
	return found(stmt.QueryRowContext(context.Background(), args...).Scan(dest...))
}

// found tells a row that is not there from an error.
func found(err error) (bool, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// close closes the connection, and does not leave it to the next user.
func (s *session) close() error {
	for _, stmt := range s.statements {
		stmt.Close() // the connection goes anyway
	}
	s.conn.Raw(func(any) error { return driver.ErrBadConn }) // which database/sql closes
	if err := s.conn.Close(); !errors.Is(err, sql.ErrConnDone) {
		return err
	}
	return nil
}
