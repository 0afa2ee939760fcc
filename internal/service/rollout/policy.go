package rollout

import (
	"strconv"
	"time"
)

// PolicyText is how fast a group takes releases, as operators write it. "" is the default.
type PolicyText struct {
	Percent      string // Plan; 100
	MaxPerPeriod string // Rate; no limit
	MaxAtOnce    int    // 0 is no limit
	ErrorBudget  string // Budget; 0
	Windows      []string
	SilentAfter  string // duration; 6h
}

// Policy is a PolicyText that was understood.
type Policy struct {
	Plan        Plan
	Rate        Rate
	AtOnce      int // updates under way; 0 is no limit
	Budget      Budget
	Windows     []Window // none is always
	SilentAfter time.Duration
}

// The defaults of a policy.
const (
	DefaultPercent     = "100"
	DefaultErrorBudget = "0"
	DefaultSilentAfter = "6h"
)

const maxWindows = 20

var (
	atOnceForm = form{"max at once", "50, or 0 for no limit"}
	silentForm = form{"silent after", "6h"}
)

// ParsePolicy reads a policy. Every error is of kind Invalid and names the part, the text and an example.
func ParsePolicy(text PolicyText) (Policy, error) {
	p := Policy{AtOnce: text.MaxAtOnce}
	if text.MaxAtOnce < 0 || text.MaxAtOnce > maxCount {
		return Policy{}, atOnceForm.wrong(strconv.Itoa(text.MaxAtOnce), "the number of machines is not from 0 to %d", maxCount)
	}
	var err error
	if p.Plan, err = ParsePlan(or(text.Percent, DefaultPercent)); err != nil {
		return Policy{}, err
	}
	if p.Rate, err = ParseRate(text.MaxPerPeriod); err != nil {
		return Policy{}, err
	}
	if p.Budget, err = ParseBudget(or(text.ErrorBudget, DefaultErrorBudget)); err != nil {
		return Policy{}, err
	}
	if p.Windows, err = parseWindows(text.Windows); err != nil {
		return Policy{}, err
	}
	if p.SilentAfter, err = parseSilentAfter(or(text.SilentAfter, DefaultSilentAfter)); err != nil {
		return Policy{}, err
	}
	return p, nil
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func parseWindows(texts []string) ([]Window, error) {
	if len(texts) > maxWindows {
		return nil, windowForm.wrong(texts[maxWindows], "there are more than %d windows", maxWindows)
	}
	var windows []Window
	for _, text := range texts {
		w, err := ParseWindow(text)
		if err != nil {
			return nil, err
		}
		windows = append(windows, w)
	}
	return windows, nil
}

func parseSilentAfter(text string) (time.Duration, error) {
	d, wrong := parseDuration(text)
	if wrong == "" && d == 0 {
		wrong = "no machine can answer within no time"
	}
	if wrong != "" {
		return 0, silentForm.wrong(text, "%s", wrong)
	}
	return d, nil
}

// Text is the policy as [ParsePolicy] reads it, with every part in its one canonical form.
func (p Policy) Text() PolicyText {
	var windows []string
	for _, w := range p.Windows {
		windows = append(windows, w.String())
	}
	return PolicyText{
		Percent: p.Plan.String(), MaxPerPeriod: p.Rate.String(), MaxAtOnce: p.AtOnce, ErrorBudget: p.Budget.String(),
		Windows: windows, SilentAfter: FormatDuration(p.SilentAfter),
	}
}
