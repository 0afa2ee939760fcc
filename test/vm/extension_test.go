//go:build vm

package vm

import (
	"archive/tar"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"conifer.dev/conifer/test/lab"
)

// sysupdateService runs systemd-sysupdate with its files laid over /usr for it alone (systemd.exec(5)), because the image has none of
// them.
const sysupdateService = `[Service]
Type=oneshot
ExtensionDirectories=/var/lib/sysupdate
ExecStart=/usr/lib/systemd/systemd-sysupdate --no-pager %i
`

// sysupdateExtension is systemd-sysupdate with the two programs that it starts, from the Debian packages of the tools tree, and a
// service to run it.
func (w *world) sysupdateExtension() map[string][]byte {
	w.t.Helper()
	const extension = "var/lib/sysupdate/"
	files := map[string][]byte{
		"etc/systemd/system/sysupdate@.service":                               []byte(sysupdateService),
		extension + "usr/lib/extension-release.d/extension-release.sysupdate": []byte("ID=_any\n"),
	}
	for _, program := range []string{"usr/lib/systemd/systemd-sysupdate", "usr/lib/systemd/systemd-pull", "usr/bin/gpg"} {
		for _, name := range append(w.libraries(program), program) {
			content, err := os.ReadFile(filepath.Join(w.Tools, name))
			if err != nil {
				w.t.Fatal(err)
			}
			files[extension+name] = content
		}
	}
	return files
}

// libraries asks the dynamic loader of the tools tree what a program of it links; the loader itself is among them.
func (w *world) libraries(program string) []string {
	w.t.Helper()
	folder := filepath.Join(w.Tools, "usr/lib/x86_64-linux-gnu")
	out, err := exec.CommandContext(w.t.Context(), filepath.Join(w.Tools, "usr/lib64/ld-linux-x86-64.so.2"),
		"--library-path", folder+":"+folder+"/systemd", "--list", filepath.Join(w.Tools, program)).Output()
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		_, path, ok := strings.Cut(line, " => ")
		if path, _, _ = strings.Cut(path, " ("); !ok {
			continue
		}
		name, err := filepath.Rel(w.Tools, path)
		if err != nil || !filepath.IsLocal(name) {
			w.t.Fatalf("%s links %s, which is not of the tools tree", program, path)
		}
		names = append(names, name)
	}
	return names
}

// put writes files on the machine, named from its root.
func (w *world) put(files map[string][]byte) {
	w.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	defer listener.Close()
	sent := make(chan error, 1)
	go func() { sent <- sendArchive(listener, files) }()
	port := listener.Addr().(*net.TCPAddr).Port
	w.run(fmt.Sprintf("bash -c 'tar --extract --directory=/ </dev/tcp/%s/%d'", lab.Host, port))
	if err := <-sent; err != nil {
		w.t.Fatal(err)
	}
}

// sendArchive gives the first caller an archive.
func sendArchive(listener net.Listener, files map[string][]byte) error {
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	return writeArchive(conn, files)
}

func writeArchive(to io.Writer, files map[string][]byte) error {
	archive := tar.NewWriter(to)
	for name, content := range files {
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}); err != nil {
			return err
		}
		if _, err := archive.Write(content); err != nil {
			return err
		}
	}
	return archive.Close()
}
