package lab

import (
	"context"
	"fmt"
	"time"
)

// Await asks until the condition holds or the time is over; the error then says what was last seen.
func Await(ctx context.Context, what string, limit time.Duration, condition func(context.Context) (bool, string)) error {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	for seen := "nothing yet"; ; {
		ok, now := condition(ctx)
		if ok {
			return nil
		}
		if now != "" {
			seen = now
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("await %s for %s: last seen: %s", what, limit, seen)
		case <-time.After(time.Second):
		}
	}
}
