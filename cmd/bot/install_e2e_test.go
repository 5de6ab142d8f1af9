package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/open-contracting/deploytoken/internal/ledger/ledgertest"
)

// A newcomer's machine: the guide's commands change it, in copies of this one's
// folders. What the newcomer does by hand, or on another machine, and systemd,
// are stood in for by what is here.
const newcomersMachine = `
set -eu
cp -a /etc "$WORLD/etc"
mount --bind "$WORLD/etc" /etc
rm -rf /etc/deploytoken /etc/systemd/system/deploytoken.service*
for d in /usr/local/bin /usr/local/share /var/lib; do
	mount -t tmpfs tmpfs $d
done
mkdir -p /usr/local/share/man /etc/systemd/system /var/lib/deploytoken
# By hand: what is marked as required, and the addresses of the local servers.
cat >/usr/local/bin/editor <<'END'
#!/bin/sh
exec sed -i -e "s|^  channel: .*|  channel: $CHANNEL|" -e "s|^  api_url: .*|  api_url: $SLACK_API|" \
	-e "s|^  document: .*|  document: document1|" -e "s|^  spreadsheet: .*|  spreadsheet: spreadsheet1|" \
	-e "s|^  endpoint: .*|  endpoint: $GOOGLE|" -e "s|^  scrapyd_url: .*|  scrapyd_url: $SCRAPYD|" \
	-e "s|^    address: .*|    address: $SSH|" -e 's|^    knock_address: .*|    knock_address: ""|' "$1"
END
# systemd, which starts what the unit says with the credentials that it loads.
cat >/usr/local/bin/systemctl <<'END'
#!/bin/sh
[ "$*" = "enable --now deploytoken" ] || exit 0
cd /var/lib/deploytoken
set -- /etc/systemd/system/deploytoken.service /etc/systemd/system/deploytoken.service.d/*
mkdir "$WORLD/credentials"
for credential in $(sed -n 's/^LoadCredential=//p' "$@"); do
	cp "${credential#*:}" "$WORLD/credentials/${credential%%:*}"
done
exec env -i HTTP_ADDRESS="$HTTP_ADDRESS" $(sed -n "s|%d|$WORLD/credentials|; s/^Environment=//p" "$@") \
	$(sed -n 's/^ExecStart=//p' "$@") >"$WORLD/log" 2>&1 &
END
chmod +x /usr/local/bin/*
cd "$WORLD"
`

// Whoever follows docs/install.md, as it is written, sees what it says.
func TestInstallGuide(t *testing.T) {
	need(t, "root", "unshare", "bash", "ssh-keygen", "ssh-keyscan", "curl", "sha256sum")
	if out, err := exec.Command("unshare", "--mount", "true").CombinedOutput(); err != nil {
		if os.Getenv("DEPLOYTOKEN_TEST_REAL") != "" {
			t.Fatalf("needs namespaces: %s", out)
		}
		t.Skipf("needs namespaces: %s", out)
	}
	w := newWorld(t)
	dir := t.TempDir()

	// The release, as deploy/release.sh lays it out.
	const release = "deploytoken_1.0.0_linux_amd64"
	program := filepath.Join(dir, release, "deploytoken")
	output(t, "", "go", "build", "-trimpath", "-ldflags=-s -w -X main.program=deploytoken", "-o", program, ".")
	output(t, dir, program, "man", release+"/man/man1")
	write(t, filepath.Join(dir, release, "completions/deploytoken.bash"), output(t, "", program, "completion", "bash"), 0o644)
	output(t, "../..", "cp", "-RL", "deploy", filepath.Join(dir, release))
	output(t, dir, "tar", "-czf", release+".tar.gz", release)
	output(t, dir, "rm", "-r", release)
	write(t, dir+"/SHA256SUMS", output(t, dir, "sha256sum", release+".tar.gz")+strings.Repeat("0", 64)+"  another.tar.gz\n", 0o644)
	write(t, dir+"/downloaded-key.json", read(t, w.config["GOOGLE_APPLICATION_CREDENTIALS"]), 0o644)

	address := ledgertest.FreeAddress(t)
	sshHost, sshPort, _ := net.SplitHostPort(w.config["KINGFISHER_SSH_ADDRESS"])

	steps := guideSteps(t)
	const server = "collect.kingfisher.open-contracting.org"
	replaced := func(step int, pairs ...string) {
		t.Helper()
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(steps[step], pairs[i]) {
				t.Fatalf("step %d has no %q:\n%s", step, pairs[i], steps[step])
			}
			steps[step] = strings.Replace(steps[step], pairs[i], pairs[i+1], 1)
		}
	}
	replaced(6,
		"cat > slack-bot-token ", "echo xoxb-sandbox > slack-bot-token ",
		"cat > slack-app-token\n", "echo xapp-sandbox > slack-app-token\n")
	replaced(7, "ssh-keyscan -t ed25519 "+server, fmt.Sprintf("ssh-keyscan -t ed25519 -p %s %s", sshPort, sshHost))
	// The local server lets one key in, and has no installer.
	steps[7] = strings.Replace(steps[7], "kfbusy may run the check", "# kfbusy may run the check", 1) + `
cp "$IDENTITY" /etc/deploytoken/secrets/id_ed25519
(umask 077; cd /etc/deploytoken/secrets; echo scrapyd > scrapyd-username; echo sandbox > scrapyd-password)
`
	steps[6] += "deploytoken config --config /etc/deploytoken/bot.yaml\n"
	steps[8] += "stat -c '%a %n' /etc/deploytoken/secrets /etc/deploytoken/secrets/* /etc/deploytoken/known_hosts\n"
	replaced(9, "deploytoken health\n", "until deploytoken health; do sleep 0.2; done\n")
	steps[9] = "cd \"$WORLD/" + release + "\"\n" + steps[9]

	script := newcomersMachine
	for _, n := range []int{1, 6, 7, 8, 9} {
		script += fmt.Sprintf("echo '== step %d'\n%s\n", n, steps[n])
	}
	script += "echo '== done'\nread -r _ || true\nkill %% 2>/dev/null || true\npkill -P $$ 2>/dev/null || true\n"

	c := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", script)
	c.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "WORLD=" + dir, "HTTP_ADDRESS=" + address, "CHANNEL=" + channel, "LC_ALL=C", atOnce,
		"SLACK_API=" + w.config["SLACK_API_URL"], "GOOGLE=" + w.config["GOOGLE_ENDPOINT"], "SCRAPYD=" + w.config["KINGFISHER_SCRAPYD_URL"],
		"SSH=" + w.config["KINGFISHER_SSH_ADDRESS"], "IDENTITY=" + w.config["KINGFISHER_SSH_IDENTITY_FILE"],
	}
	shown := &syncBuffer{}
	c.Stdout, c.Stderr = shown, shown
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		c.Wait()
	}()
	t.Cleanup(func() {
		stdin.Close()
		c.Process.Signal(syscall.SIGTERM)
		<-exited
		if t.Failed() {
			t.Logf("what was shown:\n%s", shown)
		}
	})
	ended := func() bool {
		select {
		case <-exited:
			return true
		default:
			return false
		}
	}
	eventually(t, "the last step", func() bool { return ended() || shown.line("== done") != "" })

	for step, want := range map[int][]string{
		1: {release + ".tar.gz: OK\n", "go1."},
		6: {"channel: " + channel, "document: document1"},
		7: {"SHA256:", "(ED25519)"},
		8: {"nothing there yet", "All 26 checks are well", "700 /etc/deploytoken/secrets\n", "600 /etc/deploytoken/secrets/slack-bot-token", "600 /etc/deploytoken/secrets/google.json", "600 /etc/deploytoken/secrets/id_ed25519", "644 /etc/deploytoken/known_hosts"},
		9: {`ready: {"document":"ok","slack":"ok","store":"ok"}`},
	} {
		_, rest, _ := strings.Cut(shown.String(), fmt.Sprintf("== step %d\n", step))
		said, _, _ := strings.Cut(rest, "\n== ")
		for _, text := range want {
			if !strings.Contains(said+"\n", text) {
				t.Errorf("step %d does not show %q", step, text)
			}
		}
	}
	if t.Failed() {
		return
	}

	// Step 10, in Slack.
	says(t, w.slash(t, ana, "/deploy-token", ""), "Nobody holds")
	says(t, w.slash(t, ana, "/deploy-token", "take trying the bot"), "You hold")
	w.announced(t, "Ana Díaz")
	says(t, w.slash(t, ana, "/deploy-token", "release it works"), "released")
	w.rows(t, 2)
	says(t, w.slash(t, ana, "/kingfisher", "busy"), "Kingfisher")
}

// guideSteps returns the commands of each step of the guide.
func guideSteps(t *testing.T) map[int]string {
	t.Helper()
	steps := map[int]string{}
	for _, part := range regexp.MustCompile(`(?m)^## `).Split(read(t, "../../docs/install.md"), -1)[1:] {
		var n int
		if _, err := fmt.Sscanf(part, "%d.", &n); err != nil {
			break
		}
		for line := range strings.Lines(part) {
			if command, ok := strings.CutPrefix(line, "    "); ok {
				steps[n] += command
			}
		}
		if !strings.Contains(part, "*You should see*") {
			t.Errorf("step %d doesn't say what one should see", n)
		}
	}
	if len(steps) < 5 {
		t.Fatalf("the guide has the steps %v", steps)
	}
	return steps
}
