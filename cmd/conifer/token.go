package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/client"
)

// tokenNoun is `conifer token`.
func tokenNoun(c *command) *cobra.Command {
	return parent("token", "Tokens: who may use the service, and for what", c.tokenAdd(), c.tokenList(), c.tokenRemove())
}

func (c *command) tokenAdd() *cobra.Command {
	var want admin.TokenRequest
	var out string
	var toStdout bool
	verb := c.verb("add --name NAME --role ROLE (--out FILE | --print)", "Make a token for a person or a program", takes(),
		func(ctx context.Context, s *client.Client, _ []string) error {
			if (out == "") != toStdout {
				return fault.New(fault.Invalid, "it is not clear where the secret is to go").
					WithHint("Give --out FILE, which you alone will be able to read, or --print.")
			}
			return c.makeToken(ctx, s, want, out)
		})
	verb.Long = "Make a token for a person or a program. Its secret is shown this once; the service keeps only a digest.\n\n" +
		"    viewer    sees everything but tokens\n" +
		"    operator  steers releases, channels, groups and machines, and uploads files\n" +
		"    admin     also applications, tokens, backups and `conifer apply --prune`"
	f := verb.Flags()
	f.StringVar(&want.Name, "name", "", "who it is for; it is what the activity log shows")
	f.StringVar(&want.Role, "role", "", "viewer, operator or admin")
	f.IntVar(&want.ExpiresInDays, "expires-in-days", 0, "end of its life (default never)")
	f.StringVar(&out, "out", "", "file to write the secret to")
	f.BoolVar(&toStdout, "print", false, "print the secret")
	completeWords(verb, "role", "viewer", "operator", "admin")
	return needs(verb, "name", "role")
}

// makeToken has the place for the secret ready before it asks, so that no secret is made that nobody has.
func (c *command) makeToken(ctx context.Context, s *client.Client, want admin.TokenRequest, out string) error {
	if out == "" {
		token, err := s.AddToken(ctx, want)
		if err != nil {
			return err
		}
		c.say("token %s of %s is a new %s", token.ID, token.Name, token.Role)
		return c.show(token, func(w io.Writer) { fmt.Fprintln(w, token.Secret) })
	}
	file, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Conflict, "%s exists already", out).WithHint("Choose another file, or remove this one.")
	}
	if err != nil {
		return fault.Wrap(fault.Invalid, err)
	}
	token, err := s.AddToken(ctx, want)
	if err != nil {
		return errors.Join(err, file.Close(), os.Remove(out))
	}
	_, err = fmt.Fprintln(file, token.Secret)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write the secret of token %s: %w", token.ID, err)
	}
	return c.done(token.Token, "token %s of %s is a new %s; its secret is in %s", token.ID, token.Name, token.Role, out)
}

func (c *command) tokenList() *cobra.Command {
	return c.verb("list", "List the tokens, without their secrets", takes(),
		func(ctx context.Context, s *client.Client, _ []string) error {
			tokens, err := s.Tokens(ctx)
			if err != nil {
				return err
			}
			return c.show(list(tokens), func(w io.Writer) {
				row(w, "TOKEN", "NAME", "ROLE", "CREATED", "EXPIRES")
				for _, t := range tokens {
					var expires any = t.Expires
					if t.Expires.IsZero() {
						expires = "never"
					}
					row(w, t.ID, t.Name, t.Role, t.Created, expires)
				}
			})
		})
}

func (c *command) tokenRemove() *cobra.Command {
	verb := c.verb("remove TOKEN", "Remove a token, by the id that `conifer token list` shows; it is refused from then on", takes("a TOKEN"),
		func(ctx context.Context, s *client.Client, args []string) error {
			if err := s.RemoveToken(ctx, args[0]); err != nil {
				return err
			}
			return c.done(struct {
				ID string `json:"id"`
			}{args[0]}, "token %s is removed", args[0])
		})
	return c.completeFirst(verb, tokenIDs)
}
