package rollout

import (
	"strconv"
	"strings"
	"time"
)

// Plan is to what share of a group's machines a release has come after how long. The zero value is nobody, ever.
type Plan struct {
	phases []phase       // in order; all but the last have a soak
	over   time.Duration // when not 0, the only phase is reached evenly in that time
}

type phase struct {
	name  string
	share int // ten-thousandths
	soak  time.Duration
}

const maxPhases = 20

var planForm = form{"percent", "25, 100/7d or canary:1:24h,early:10:48h,all:100"}

// ParsePlan reads a constant share in percent, "25"; a share reached evenly over a time, "100/7d"; or phases, each with
// its name, its share and how long it lasts, "canary:1:24h,early:10:48h,all:100". Shares have up to two decimals.
func ParsePlan(text string) (Plan, error) {
	var p Plan
	var wrong string
	switch share, over, linear := strings.Cut(text, "/"); {
	case strings.Contains(text, ":"):
		p.phases, wrong = parsePhases(text)
	case linear:
		p, wrong = parseLinear(share, over)
	default:
		var constant int
		constant, wrong = parseShare(text)
		p.phases = []phase{{share: constant}}
	}
	if wrong != "" {
		return Plan{}, planForm.wrong(text, "%s", wrong)
	}
	return p, nil
}

func parseLinear(share, over string) (Plan, string) {
	final, wrong := parseShare(share)
	if wrong != "" {
		return Plan{}, wrong
	}
	d, wrong := parseDuration(over)
	if wrong == "" && d == 0 {
		wrong = "the time is 0; without it, the share counts at once"
	}
	return Plan{phases: []phase{{share: final}}, over: d}, wrong
}

func parsePhases(text string) ([]phase, string) {
	parts := strings.Split(text, ",")
	if len(parts) > maxPhases {
		return nil, "there are more than " + strconv.Itoa(maxPhases) + " phases"
	}
	var phases []phase
	names := map[string]bool{}
	for i, part := range parts {
		last := i == len(parts)-1
		p, wrong := parsePhase(part, last)
		switch {
		case wrong != "":
			return nil, wrong
		case names[p.name]:
			return nil, "phase " + p.name + " is there twice"
		case i > 0 && p.share <= phases[i-1].share:
			return nil, "phase " + p.name + " does not reach more than the one before it"
		}
		names[p.name] = true
		phases = append(phases, p)
	}
	return phases, ""
}

// parsePhase reads name:share:soak, and name:share of the last phase, which does not end.
func parsePhase(text string, last bool) (phase, string) {
	words := strings.Split(text, ":")
	if !phaseName(words[0]) {
		return phase{}, "the name of a phase is 1 to 32 small letters, digits and hyphens"
	}
	name := words[0]
	if last && len(words) != 2 {
		return phase{}, "the last phase, " + name + ", does not end: it is name and percent"
	}
	if !last && len(words) != 3 {
		return phase{}, "phase " + name + " is not name, percent and duration"
	}
	share, wrong := parseShare(words[1])
	if last || wrong != "" {
		return phase{name: name, share: share}, wrong
	}
	soak, wrong := parseDuration(words[2])
	if wrong == "" && soak == 0 {
		wrong = "phase " + name + " lasts no time"
	}
	return phase{name, share, soak}, wrong
}

func phaseName(s string) bool {
	return s != "" && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// parseShare reads a percentage from 0 to 100 with up to two decimals as ten-thousandths.
func parseShare(text string) (share int, wrong string) {
	const form = "a share is a number of percent from 0 to 100 with up to two decimals, and no sign after it"
	units, decimals, point := strings.Cut(text, ".")
	if point && decimals == "" || units == "" || len(units) > 3 || len(decimals) > 2 {
		return 0, form
	}
	digits := units + (decimals + "00")[:2]
	if strings.Trim(digits, "0123456789") != "" {
		return 0, form
	}
	share, err := strconv.Atoi(digits)
	if err != nil || share > whole {
		return 0, form
	}
	return share, ""
}

func formatShare(share int) string {
	text := strconv.Itoa(share / 100)
	if decimals := share % 100; decimals != 0 {
		text += strings.TrimRight("."+strconv.Itoa(100 + decimals)[1:], "0")
	}
	return text
}

// String is the plan as [ParsePlan] reads it.
func (p Plan) String() string {
	switch {
	case len(p.phases) == 0:
		return "0"
	case p.phases[0].name == "":
		if p.over == 0 {
			return formatShare(p.phases[0].share)
		}
		return formatShare(p.phases[0].share) + "/" + FormatDuration(p.over)
	}
	var text strings.Builder
	for i, phase := range p.phases {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString(phase.name + ":" + formatShare(phase.share))
		if phase.soak != 0 {
			text.WriteString(":" + FormatDuration(phase.soak))
		}
	}
	return text.String()
}

// Reached is the share of the machines that the release has come to after a time, in ten-thousandths. It never falls.
func (p Plan) Reached(elapsed time.Duration) int {
	if len(p.phases) == 0 {
		return 0
	}
	if p.over > 0 {
		// Ten years in microseconds, ten thousand times, still fit into 64 bits.
		done := min(max(elapsed, 0), p.over) / time.Microsecond
		return int(int64(p.phases[0].share) * int64(done) / int64(p.over/time.Microsecond))
	}
	return p.at(elapsed).share
}

// Phase is the name of the phase that a rollout is in after a time, "" when the plan has none.
func (p Plan) Phase(elapsed time.Duration) string {
	if len(p.phases) == 0 {
		return ""
	}
	return p.at(elapsed).name
}

func (p Plan) at(elapsed time.Duration) *phase {
	last := len(p.phases) - 1
	for i := range last {
		if elapsed < p.phases[i].soak {
			return &p.phases[i]
		}
		elapsed -= p.phases[i].soak
	}
	return &p.phases[last]
}
