package main

import (
	"slices"
	"strings"
	"testing"
)

func TestBarShowsWhatIsNotNothingAndNotAll(t *testing.T) {
	for share, want := range map[float64]int{0: 0, 0.0001: 1, 0.5: 15, 0.9999: 29, 1: 30} {
		b := bar(share, 30)
		if full := strings.Count(b, "█"); full != want || full+strings.Count(b, "░") != 30 {
			t.Errorf("bar(%v) = %s, want %d full cells of %d", share, b, want, 30)
		}
	}
}

func TestPercentTellsACanaryFromNothing(t *testing.T) {
	for share, want := range map[float64]string{0: "0 %", 0.004: "0.4 %", 0.25: "25 %", 1: "100 %"} {
		if got := percent(share); got != want {
			t.Errorf("percent(%v) = %q, want %q", share, got, want)
		}
	}
}

func TestSparkline(t *testing.T) {
	if got := sparkline([]float64{0, 0.5, 1, 2}); got != "▁▅██" {
		t.Errorf("sparkline is %s", got)
	}
}

func TestThinKeepsTheLast(t *testing.T) {
	if got := thin([]int{1, 2, 3, 4, 5, 6, 7}, 3); !slices.Equal(got, []int{2, 4, 7}) {
		t.Errorf("thin keeps %v", got)
	}
	if got := thin([]int{1, 2}, 3); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("thin of few keeps %v", got)
	}
}
