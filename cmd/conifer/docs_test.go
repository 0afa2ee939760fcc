package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	commandLine = regexp.MustCompile("(?m)(?:^|[`·(] ?| {4})conifer ([a-z][^`·)\n]*(?:\\\\\n[^\n]*)*)")
	flagWord    = regexp.MustCompile(`--([a-z][a-z0-9-]*)`)
)

// TestDocumentedCommandsExist looks for every command line of the manuals: its noun, its verb and its flags.
func TestDocumentedCommandsExist(t *testing.T) {
	_, commands := verbs(t)
	pages, err := filepath.Glob("../../docs/ops/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range commandLine.FindAllStringSubmatch(string(text), -1) {
			line, _, _ := strings.Cut(match[1], "  ") // what follows is an explanation
			if strings.Contains(match[1], "\\\n") {
				line = match[1]
			}
			words := strings.Fields(line)
			cmd := commands[words[0]]
			if cmd == nil && len(words) > 1 {
				verb, _, _ := strings.Cut(words[1], "|")
				cmd = commands[words[0]+" "+verb]
			}
			if cmd == nil {
				t.Errorf("%s has `conifer %s`, and there is no such command", page, line)
				continue
			}
			found++
			for _, flag := range flagWord.FindAllStringSubmatch(line, -1) {
				if cmd.Flag(flag[1]) == nil && flag[1] != "json" {
					t.Errorf("%s has `conifer %s`, which does not take --%s", page, line, flag[1])
				}
			}
		}
	}
	if found < 40 {
		t.Errorf("found %d command lines in %v: the search misses them", found, pages)
	}
}
