package fault

import (
	"errors"
	"fmt"
	"testing"
)

func TestKindAndHintSurviveWrapping(t *testing.T) {
	leaf := New(Corrupt, "payload digest is %s, want %s", "9f", "3c").WithHint("Fetch it again.")
	err := fmt.Errorf("apply payload: %w", leaf)
	if KindOf(err) != Corrupt || !Is(err, Corrupt) || Is(err, Busy) {
		t.Errorf("kind of %v is %v, want corrupt", err, KindOf(err))
	}
	if HintOf(err) != "Fetch it again." {
		t.Errorf("hint is %q", HintOf(err))
	}
	if got := err.Error(); got != "apply payload: payload digest is 9f, want 3c" {
		t.Errorf("message is %q: a hint must stay apart from it", got)
	}
}

func TestOuterKindWinsAndInnerHintIsFound(t *testing.T) {
	inner := New(NotFound, "no such file").WithHint("Create it.")
	outer := Wrap(Unavailable, inner)
	if KindOf(outer) != Unavailable || HintOf(outer) != "Create it." {
		t.Errorf("got %v, %q", KindOf(outer), HintOf(outer))
	}
	if Wrap(Busy, nil) != nil {
		t.Error("wrapping nil gave an error")
	}
	if KindOf(errors.New("x")) != Internal {
		t.Error("an unclassified error is not internal")
	}
}

func TestEveryKindHasARow(t *testing.T) {
	for k := Internal; k <= Throttled; k++ {
		row := table[k]
		if row.name == "" || row.http < 400 || row.exit == 0 {
			t.Errorf("kind %d has an incomplete row: %+v", k, row)
		}
		if got := FromHTTPStatus(row.http); got.HTTPStatus() != row.http {
			t.Errorf("status %d comes back as %v", row.http, got)
		}
	}
	if FromHTTPStatus(599) != Unavailable || FromHTTPStatus(418) != Invalid {
		t.Error("unknown statuses are misread")
	}
}
