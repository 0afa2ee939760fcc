package rollout

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate is how many updates may begin in any period of that length. The zero value is no limit.
type Rate struct {
	N      int
	Period time.Duration
}

const maxCount = 1_000_000_000

var rateForm = form{"max per period", "1000/15m"}

// ParseRate reads "1000/15m"; "" is no limit.
func ParseRate(text string) (Rate, error) {
	if text == "" {
		return Rate{}, nil
	}
	number, period, _ := strings.Cut(text, "/")
	n, ok := parseCount(number)
	if !ok || n == 0 {
		return Rate{}, rateForm.wrong(text, "the number of machines is not from 1 to %d", maxCount)
	}
	d, wrong := parseDuration(period)
	if wrong == "" && d == 0 {
		wrong = "the period is 0"
	}
	if wrong != "" {
		return Rate{}, rateForm.wrong(text, "%s", wrong)
	}
	return Rate{n, d}, nil
}

func parseCount(text string) (n int, ok bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0 && n <= maxCount && strings.Trim(text, "0123456789") == ""
}

// String is the rate as [ParseRate] reads it.
func (r Rate) String() string {
	if r == (Rate{}) {
		return ""
	}
	return strconv.Itoa(r.N) + "/" + FormatDuration(r.Period)
}

// Budget is how many machines of a group may come to a bad end with a release without halting it. The zero value is none.
type Budget struct {
	machines int
	share    int // ten-thousandths of the machines that came to any end; when not 0, machines is not used
}

var budgetForm = form{"error budget", "3 or 2%"}

// ParseBudget reads a number of machines, "3", or a percentage of those that came to an end, "2%".
func ParseBudget(text string) (Budget, error) {
	number, relative := strings.CutSuffix(text, "%")
	if !relative {
		n, ok := parseCount(number)
		if !ok {
			return Budget{}, budgetForm.wrong(text, "the number of machines is not from 0 to %d", maxCount)
		}
		return Budget{machines: n}, nil
	}
	share, wrong := parseShare(number)
	if wrong == "" && share == 0 {
		wrong = "0 % is written as 0: then the first bad end halts"
	}
	if wrong != "" {
		return Budget{}, budgetForm.wrong(text, "%s", wrong)
	}
	return Budget{share: share}, nil
}

// String is the budget as [ParseBudget] reads it.
func (b Budget) String() string {
	if b.share != 0 {
		return formatShare(b.share) + "%"
	}
	return strconv.Itoa(b.machines)
}

// Allows is how many bad ends do not halt a release when so many machines came to any end, good or bad. A percentage
// always allows one, or else the first machine to fail would halt every release.
func (b Budget) Allows(ended int) int {
	if b.share != 0 {
		return max(1, int(int64(ended)*int64(b.share)/whole))
	}
	return b.machines
}

// Judge decides whether a release is to be halted after machines of the group came to a bad end with it: failed, rolled back
// or never came back. Of the ended machines, failures came to a bad end; a machine that waits for its reboot has not ended.
func Judge(group string, b Budget, failures, ended int, last Ending) (reason string, halt bool) {
	if failures <= b.Allows(ended) {
		return "", false
	}
	machines := "machines"
	if failures == 1 {
		machines = "machine"
	}
	budget := b.String()
	if b.share != 0 {
		budget = fmt.Sprintf("%s of the %d that came to an end", budget, ended)
	}
	return fmt.Sprintf("%d %s of group %s failed, rolled back or never came back, and its error budget is %s; the last: %s",
		failures, machines, group, budget, last.Text), true
}
