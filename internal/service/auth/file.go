package auth

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/google/renameio/v2"

	"conifer.dev/conifer/internal/fault"
)

// minimumLength of an admin token that somebody put into the file himself.
const minimumLength = 16

// LoadAdmin reads the admin token from the file at path, and makes it at the first start. Only its owner may read it.
func LoadAdmin(path string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		token := rand.Text()
		if err := renameio.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
			return "", fmt.Errorf("write the admin token: %w", err)
		}
		return token, nil
	}
	if err != nil {
		return "", fmt.Errorf("read the admin token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < minimumLength {
		return "", fault.New(fault.Invalid, "the admin token in %s has %d characters, fewer than %d", path, len(token), minimumLength).
			WithHint("Remove the file to have a new one made at the next start.")
	}
	return token, nil
}
