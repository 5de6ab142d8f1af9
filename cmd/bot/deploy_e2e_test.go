package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/open-contracting/deploytoken/internal/ledger/ledgertest"
)

// These tests try what is in the folder deploy, and the Dockerfile, with the
// program.

// need skips the test where a program is missing, or fails it where
// DEPLOYTOKEN_TEST_REAL is set.
func need(t *testing.T, programs ...string) {
	t.Helper()
	var missing []string
	for _, p := range programs {
		if p == "root" {
			if os.Getuid() != 0 {
				missing = append(missing, p)
			}
		} else if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	switch {
	case len(missing) == 0:
	case os.Getenv("DEPLOYTOKEN_TEST_REAL") != "":
		t.Fatalf("needs %s", strings.Join(missing, ", "))
	default:
		t.Skipf("needs %s", strings.Join(missing, ", "))
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// output runs a program, which must succeed, and returns what it printed.
func output(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	c := exec.Command(program, args...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Each metric that the alerts and the dashboard are made of is one that the bot
// has, with the labels that they name.
func TestMetricsOfAlertsAndDashboard(t *testing.T) {
	w := newWorld(t)
	b := w.serve(t)
	w.slash(t, ana, "/deploy-token", "take")
	w.announced(t, "Ana Díaz")
	var metrics string
	eventually(t, "a delivery to be counted", func() bool {
		_, metrics = b.get(t, "/metrics")
		return strings.Contains(metrics, `result="delivered"`)
	})
	has := map[string]bool{"up": true} // which Prometheus makes
	labels := map[string]bool{"job": true, "instance": true, "alertname": true}
	for _, m := range regexp.MustCompile(`(?m)^([a-z_]+)(?:\{(.*)\})? `).FindAllStringSubmatch(metrics, -1) {
		has[m[1]] = true
		for _, l := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(m[2], -1) {
			labels[l[1]] = true
		}
	}

	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "../../deploy/prometheus/deploytoken.rules.yaml")), &rules); err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		UID    string
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct {
				Name  string
				Query any
			}
		}
	}
	if err := json.Unmarshal([]byte(read(t, "../../deploy/grafana/deploytoken.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	expressions := map[string]string{}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			expressions[r.Alert] = r.Expr
		}
	}
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q: its ID is taken or it stands outside", p.Title)
		}
		ids[p.ID] = true
		for i, target := range p.Targets {
			expressions[fmt.Sprint(p.Title, " ", i)] = target.Expr
		}
	}
	for _, v := range dashboard.Templating.List {
		if q, ok := v.Query.(map[string]any); ok {
			name, _, _ := strings.Cut(strings.TrimPrefix(q["query"].(string), "label_values("), ",")
			expressions[v.Name] = name + "{}"
		}
	}
	if len(expressions) < 15 {
		t.Fatalf("only %d expressions were found", len(expressions))
	}
	for where, expr := range expressions {
		names := regexp.MustCompile(`([a-z_]+)\{([^}]*)\}`).FindAllStringSubmatch(expr, -1)
		if len(names) == 0 {
			t.Errorf("%s: no metric was found in %q", where, expr)
		}
		for _, n := range names {
			if !has[n[1]] {
				t.Errorf("%s: the bot has no metric %s", where, n[1])
			}
			for _, l := range regexp.MustCompile(`([a-z_]+)=`).FindAllStringSubmatch(n[2], -1) {
				if !labels[l[1]] {
					t.Errorf("%s: no metric of the bot's has the label %s", where, l[1])
				}
			}
		}
		for _, by := range regexp.MustCompile(`by \(([^)]*)\)`).FindAllStringSubmatch(expr, -1) {
			for l := range strings.SplitSeq(by[1], ", ") {
				if !labels[l] {
					t.Errorf("%s: no metric of the bot's has the label %s", where, l)
				}
			}
		}
	}
}

func TestAlerts(t *testing.T) {
	need(t, "promtool")
	dir := "../../deploy/prometheus"
	t.Log(output(t, dir, "promtool", "check", "rules", "--lint=all", "--lint-fatal", "deploytoken.rules.yaml"))
	t.Log(output(t, dir, "promtool", "test", "rules", "deploytoken.rules.test.yaml"))
	var tests struct {
		Tests []struct {
			Alerts []struct {
				Name   string `yaml:"alertname"`
				Expect []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, dir+"/deploytoken.rules.test.yaml")), &tests); err != nil {
		t.Fatal(err)
	}
	fired, silent := map[string]bool{}, map[string]bool{}
	for _, test := range tests.Tests {
		for _, a := range test.Alerts {
			if len(a.Expect) > 0 {
				fired[a.Name] = true
			} else {
				silent[a.Name] = true
			}
		}
	}
	for _, m := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(read(t, dir+"/deploytoken.rules.yaml"), -1) {
		if !fired[m[1]] || !silent[m[1]] {
			t.Errorf("%s is not tested both ways", m[1])
		}
	}
}

// exposure is what systemd-analyze may say of the unit, in tenths.
const exposure = 12

func TestUnit(t *testing.T) {
	need(t, "systemd-analyze")
	dir := t.TempDir()
	unit := strings.ReplaceAll(read(t, "../../deploy/deploytoken.service"), "/usr/local/bin/deploytoken", binary(t))
	write(t, dir+"/deploytoken.service", unit, 0o644)
	write(t, dir+"/deploytoken.service.d/kingfisher.conf", read(t, "../../deploy/deploytoken.service.d/kingfisher.conf"), 0o644)
	if said := output(t, dir, "systemd-analyze", "verify", "--man=no", "./deploytoken.service"); strings.Contains(said, "deploytoken") {
		t.Error(said)
	}
	said := output(t, dir, "systemd-analyze", "security", "--no-pager", "--offline=yes", fmt.Sprintf("--threshold=%d", exposure), "./deploytoken.service")
	lines := strings.Split(strings.TrimSpace(said), "\n")
	t.Log(lines[len(lines)-1])
}

// What the unit, the compose files and the Kubernetes manifest set and bring is
// what the program needs, and all of it is something that it knows.
func TestDeployedConfiguration(t *testing.T) {
	w := newWorld(t)
	known := read(t, "../../docs/configuration.md")
	secrets := filepath.Join(w.dir, "secrets")
	for name, text := range map[string]string{
		"slack-bot-token": "xoxb-1-abc", "slack-app-token": "xapp-1-abc", "google.json": read(t, w.config["GOOGLE_APPLICATION_CREDENTIALS"]),
		"id_ed25519": read(t, w.config["KINGFISHER_SSH_IDENTITY_FILE"]), "scrapyd-username": "scrapyd", "scrapyd-password": "hunter2",
		"store-url": "postgres://deploytoken:hunter2@postgres/deploytoken?sslmode=disable",
	} {
		write(t, filepath.Join(secrets, name), text+"\n", 0o600)
	}
	example := read(t, "../../internal/config/bot.yaml")
	check := func(t *testing.T, env map[string]string, prefix, config string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "bot.yaml")
		write(t, file, config, 0o600)
		c := exec.Command(binary(t), "config", "--config", file)
		for name, value := range env {
			if !strings.Contains(known, "`"+name+"`") {
				t.Errorf("docs/configuration.md has no %s", name)
			}
			c.Env = append(c.Env, name+"="+strings.Replace(value, prefix, secrets+"/", 1))
		}
		out, err := c.CombinedOutput()
		if err != nil {
			t.Errorf("bot config: %v\n%s", err, out)
		}
		if strings.Contains(string(out), "hunter2") {
			t.Errorf("bot config shows a secret:\n%s", out)
		}
		for _, name := range []string{"SLACK_BOT_TOKEN_FILE", "SLACK_APP_TOKEN_FILE", "GOOGLE_APPLICATION_CREDENTIALS", "SCRAPYD_PASSWORD_FILE", "KINGFISHER_SSH_IDENTITY_FILE"} {
			if env[name] == "" {
				t.Errorf("it does not set %s", name)
			}
		}
	}

	t.Run("unit", func(t *testing.T) {
		env, loaded := map[string]string{}, map[string]bool{}
		for _, file := range []string{"deploytoken.service", "deploytoken.service.d/kingfisher.conf"} {
			text := read(t, "../../deploy/"+file)
			for _, m := range regexp.MustCompile(`(?m)^Environment=(\w+)=(.*)$`).FindAllStringSubmatch(text, -1) {
				env[m[1]] = m[2]
			}
			for _, m := range regexp.MustCompile(`(?m)^LoadCredential=([^:]+):/etc/deploytoken/secrets/(.*)$`).FindAllStringSubmatch(text, -1) {
				loaded["%d/"+m[1]] = m[1] == m[2]
			}
		}
		for name, value := range env {
			if !loaded[value] {
				t.Errorf("%s is %s, which is not loaded", name, value)
			}
		}
		check(t, env, "%d/", example)
	})

	for _, file := range []string{"sqlite.yaml", "postgres.yaml"} {
		t.Run(file, func(t *testing.T) {
			var compose struct {
				Services map[string]struct {
					Environment map[string]string
					Secrets     []string
					Volumes     []string
				}
				Secrets map[string]struct{ File string }
			}
			if err := yaml.Unmarshal([]byte(read(t, "../../deploy/compose/"+file)), &compose); err != nil {
				t.Fatal(err)
			}
			given := map[string]bool{}
			for _, s := range compose.Services {
				for _, name := range s.Secrets {
					given[name] = true
					if compose.Secrets[name].File != "secrets/"+name {
						t.Errorf("the secret %s has the file %q", name, compose.Secrets[name].File)
					}
				}
			}
			if len(given) != len(compose.Secrets) {
				t.Errorf("the secrets are %v, and those used %v", slices.Sorted(maps.Keys(compose.Secrets)), slices.Sorted(maps.Keys(given)))
			}
			bot := compose.Services["bot"]
			for name, value := range bot.Environment {
				if !slices.Contains(bot.Secrets, strings.TrimPrefix(value, "/run/secrets/")) {
					t.Errorf("%s is %s, which is no secret of the service", name, value)
				}
			}
			if _, ok := bot.Environment["STORE_URL_FILE"]; ok != (file == "postgres.yaml") {
				t.Errorf("STORE_URL_FILE is set: %v", ok)
			}
			check(t, bot.Environment, "/run/secrets/", example)
		})
	}

	t.Run("kubernetes.yaml", func(t *testing.T) {
		env, config := map[string]string{}, ""
		for d := yaml.NewDecoder(strings.NewReader(read(t, "../../deploy/kubernetes.yaml"))); ; {
			var object struct {
				Kind string
				Data map[string]string
				Spec struct {
					Template struct {
						Spec struct {
							Containers []struct {
								Env []struct{ Name, Value string }
							}
						}
					}
				}
			}
			if err := d.Decode(&object); err != nil {
				break
			}
			if object.Kind == "ConfigMap" {
				config = object.Data["bot.yaml"]
			}
			for _, c := range object.Spec.Template.Spec.Containers {
				for _, e := range c.Env {
					env[e.Name] = e.Value
				}
			}
		}
		if env["STORE_URL_FILE"] == "" {
			t.Error("it does not set STORE_URL_FILE")
		}
		check(t, env, "/run/secrets/deploytoken/", config)
	})
}

// The Dockerfile, the compose files and the Kubernetes manifest are well by the
// tools that will read them.
func TestManifests(t *testing.T) {
	if os.Getenv("DEPLOYTOKEN_TEST_REAL") == "" {
		t.Skip("needs the libraries of BuildKit, Compose and Kubernetes, which take minutes to compile: set DEPLOYTOKEN_TEST_REAL=1")
	}
	tool := filepath.Join(t.TempDir(), "manifests")
	build := exec.Command("go", "build", "-o", tool, ".")
	build.Dir = "testdata/manifests"
	build.Env = append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	files := []string{"../../Dockerfile", "../../deploy/compose/sqlite.yaml", "../../deploy/compose/postgres.yaml", "../../deploy/kubernetes.yaml"}
	output(t, "", tool, files...)

	// What is wrong is noticed.
	for i, broken := range []struct{ from, to, says string }{
		{"USER 65532:65532", "ENV API_TOKEN=abc", "SecretsUsedInArgOrEnv"},
		{"read_only: true", "readonly: true", "readonly"},
		{"secrets: [store-url,", "secrets: [storeurl,", "storeurl"},
		{"readOnlyRootFilesystem", "readonlyRootFilesystem", "readonlyRootFilesystem"},
		{"drop: [ALL]", "drop: []", "Pod Security Standard"},
		{"apiVersion: policy/v1", "apiVersion: policy/v1beta1", "policy/v1beta1 PodDisruptionBudget"},
	} {
		i = min(i, len(files)-1)
		text := read(t, files[i])
		if !strings.Contains(text, broken.from) {
			t.Errorf("%s has no %q", files[i], broken.from)
		}
		file := filepath.Join(t.TempDir(), filepath.Base(files[i]))
		write(t, file, strings.Replace(text, broken.from, broken.to, 1), 0o600)
		args := slices.Clone(files)
		args[i] = file
		if out, err := exec.Command(tool, args...).CombinedOutput(); err == nil || !strings.Contains(string(out), broken.says) {
			t.Errorf("%q instead of %q: %v\n%s", broken.to, broken.from, err, out)
		}
	}
}

// An image is what the last stage of the Dockerfile says.
type image struct {
	copies                           [][]string // of COPY, its arguments, options aside
	env                              []string
	user, workdir                    string
	entrypoint, command, healthcheck []string
}

func readDockerfile(t *testing.T) (build string, last image) {
	t.Helper()
	text := strings.ReplaceAll(read(t, "../../Dockerfile"), "\\\n", "")
	list := func(s string) (found []string) {
		if err := json.Unmarshal([]byte(s), &found); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		return found
	}
	for line := range strings.Lines(text) {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest = strings.TrimSpace(rest)
		switch verb {
		case "FROM":
			last = image{}
		case "RUN":
			if strings.Contains(rest, "go build") {
				build = rest
			}
		case "COPY":
			last.copies = append(last.copies, slices.DeleteFunc(strings.Fields(rest), func(s string) bool { return strings.HasPrefix(s, "--") }))
		case "ENV":
			last.env = append(last.env, rest)
		case "USER":
			last.user = rest
		case "WORKDIR":
			last.workdir = rest
		case "ENTRYPOINT":
			last.entrypoint = list(rest)
		case "CMD":
			last.command = list(rest)
		case "HEALTHCHECK":
			_, rest, _ = strings.Cut(rest, " CMD ")
			last.healthcheck = list(rest)
		}
	}
	return build, last
}

// The container's files, and nothing else, are enough for the bot: as the user
// of the image, without a capability, on a file system that is read-only but for
// its volume.
func TestContainer(t *testing.T) {
	need(t, "root", "unshare", "setpriv")
	if out, err := exec.Command("unshare", "--mount", "--pid", "--fork", "true").CombinedOutput(); err != nil {
		if os.Getenv("DEPLOYTOKEN_TEST_REAL") != "" {
			t.Fatalf("needs namespaces: %s", out)
		}
		t.Skipf("needs namespaces: %s", out)
	}
	build, image := readDockerfile(t)
	out := t.TempDir()
	// What the first stage makes, by the command that it has.
	build = strings.ReplaceAll(strings.ReplaceAll(build, "/deploytoken ", out+"/deploytoken "), "/data", out+"/data")
	build = strings.ReplaceAll(build, "-buildvcs=true", "-buildvcs=auto") // where the tree has no .git
	build = "GOFLAGS= && export GOFLAGS && " + build                      // the tests' own may ask for what this build can't have
	output(t, "../..", "sh", "-c", build)

	root := filepath.Join(t.TempDir(), "root")
	for _, c := range image.copies {
		from, to := c[0], filepath.Join(root, c[1])
		if strings.HasSuffix(c[1], "/") {
			to = filepath.Join(to, filepath.Base(from))
		}
		switch from {
		case "/etc/ssl/certs/ca-certificates.crt":
			write(t, to, "", 0o644) // which the sandbox has no use for
		case "/data":
			if err := os.MkdirAll(to, 0o755); err != nil {
				t.Fatal(err)
			}
		default:
			write(t, to, read(t, out+from), 0o755)
		}
	}
	uid, gid, _ := strings.Cut(image.user, ":")
	output(t, "", "chown", "-R", image.user, filepath.Join(root, image.workdir))
	if uid == "0" || uid == "" {
		t.Errorf("the image's user is %q", image.user)
	}

	w := newWorld(t)
	_, port, _ := net.SplitHostPort(ledgertest.FreeAddress(t))
	env := append(slices.Clone(image.env), "HTTP_ADDRESS=:"+port)
	for _, name := range []string{"SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SCRAPYD_USERNAME", "SCRAPYD_PASSWORD"} {
		file := "/run/secrets/" + strings.ToLower(strings.ReplaceAll(name, "_", "-"))
		write(t, root+file, w.config[name], 0o444)
		env = append(env, name+"_FILE="+file)
	}
	write(t, root+"/run/secrets/google.json", read(t, w.config["GOOGLE_APPLICATION_CREDENTIALS"]), 0o444)
	write(t, root+"/run/secrets/id_ed25519", read(t, w.config["KINGFISHER_SSH_IDENTITY_FILE"]), 0o444)
	env = append(env, "GOOGLE_APPLICATION_CREDENTIALS=/run/secrets/google.json", "KINGFISHER_SSH_IDENTITY_FILE=/run/secrets/id_ed25519")
	write(t, root+"/etc/deploytoken/known_hosts", read(t, w.config["KINGFISHER_SSH_KNOWN_HOSTS_FILE"]), 0o444)
	write(t, root+"/etc/deploytoken/bot.yaml", fmt.Sprintf(`
slack: {channel: %s, api_url: "%s"}
google: {document: document1, spreadsheet: spreadsheet1, endpoint: "%s", watch_interval: 1s}
kingfisher:
  scrapyd_url: %s
  ssh: {address: "%s", knock_address: ""}
`, channel, w.config["SLACK_API_URL"], w.config["GOOGLE_ENDPOINT"], w.config["KINGFISHER_SCRAPYD_URL"], w.config["KINGFISHER_SSH_ADDRESS"]), 0o444)

	// in returns a command in the container.
	in := func(args ...string) *exec.Cmd {
		c := exec.Command("unshare", append([]string{"--mount", "sh", "-ec", `
root=$1 data=$2 user=$3 group=$4
shift 4
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --bind "$root$data" "$root$data"
mount -o remount,bind,rw "$root$data"
exec setpriv --no-new-privs unshare --root="$root" --wd="$data" --setgid="$group" --setuid="$user" "$@"
`, "sh", root, image.workdir, uid, gid}, args...)...)
		c.Env = env
		return c
	}
	b := &bot{log: &syncBuffer{}, exited: make(chan error, 1), address: "http://127.0.0.1:" + port}
	b.command = in(append(image.entrypoint, image.command...)...)
	b.command.Stdout, b.command.Stderr = b.log, b.log
	if err := b.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { b.exited <- b.command.Wait() }()
	t.Cleanup(func() {
		b.command.Process.Kill()
		if t.Failed() {
			t.Logf("the bot's log:\n%s", b.log)
		}
	})
	b.waitLog(t, `"msg":"ready"`)
	var health []byte
	eventually(t, "the image's health check to succeed", func() bool {
		var err error
		health, err = in(image.healthcheck...).CombinedOutput()
		return err == nil
	})
	t.Logf("health: %s", health)
	if said := w.slash(t, ana, "/deploy-token", "take").Shown(); !strings.Contains(said, "token") {
		t.Errorf("the answer is %q", said)
	}
	w.announced(t, "Ana Díaz")
	status := read(t, fmt.Sprintf("/proc/%d/status", b.command.Process.Pid))
	for _, want := range []string{"Uid:\t" + uid, "Gid:\t" + gid, "CapEff:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !strings.Contains(status, want) {
			t.Errorf("the process has not %q:\n%s", want, status)
		}
	}
	if out, err := in(append(image.entrypoint, "busy", "--config", "/etc/deploytoken/bot.yaml")...).CombinedOutput(); err != nil {
		t.Errorf("busy: %v\n%s", err, out)
	}
	if code := b.stop(t); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	if _, err := os.Stat(filepath.Join(root, image.workdir, "deploytoken.db")); err != nil {
		t.Error(err)
	}
}

// The Salt states render, their requisites are there, and they make what the
// unit, the release and the installer have.
func TestSalt(t *testing.T) {
	need(t, "python3")
	if out, err := exec.Command("python3", "-c", "import jinja2, yaml").CombinedOutput(); err != nil {
		if os.Getenv("DEPLOYTOKEN_TEST_REAL") != "" {
			t.Fatalf("needs Jinja and PyYAML: %s", out)
		}
		t.Skipf("needs Jinja and PyYAML: %s", out)
	}
	// The values of a state's list of one-key mappings.
	arguments := func(list any) map[string]any {
		all := map[string]any{}
		for _, a := range list.([]any) {
			maps.Copy(all, a.(map[string]any))
		}
		return all
	}
	render := func(t *testing.T, state string, private map[string]any) (states map[string]map[string]map[string]any, pillar map[string]any) {
		t.Helper()
		more, err := json.Marshal(private)
		if err != nil {
			t.Fatal(err)
		}
		out := output(t, "", "python3", "testdata/salt.py", "../../deploy/salt/salt/deploytoken/"+state, "../../deploy/salt/pillar/deploytoken.sls", string(more))
		var all struct {
			State  map[string]map[string]any
			Pillar map[string]any
		}
		if err := json.Unmarshal([]byte(out), &all); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		states = map[string]map[string]map[string]any{}
		kinds := map[string]bool{}
		for id, functions := range all.State {
			states[id] = map[string]map[string]any{}
			for function, list := range functions {
				kind, _, ok := strings.Cut(function, ".")
				if !ok {
					t.Errorf("%s: %s is not a function of a state", id, function)
				}
				kinds[kind+" "+id] = true
				states[id][function] = map[string]any{}
				if list != nil {
					states[id][function] = arguments(list)
				}
			}
		}
		for id, functions := range states {
			for _, args := range functions {
				for _, requisite := range []string{"require", "watch", "watch_in", "onchanges"} {
					list, _ := args[requisite].([]any)
					for _, r := range list {
						for kind, of := range r.(map[string]any) {
							if !kinds[kind+" "+of.(string)] {
								t.Errorf("%s: %s names the %s %s, which isn't there", id, requisite, kind, of)
							}
						}
					}
				}
			}
		}
		return states, all.Pillar
	}

	secrets := map[string]any{"slack-bot-token": "xoxb-1", "slack-app-token": "xapp-1", "google.json": "{\n  \"a\": 'b'\n}\n"}
	for _, kingfisher := range []bool{false, true} {
		if kingfisher {
			secrets["id_ed25519"], secrets["scrapyd-username"], secrets["scrapyd-password"] = "-----BEGIN\n: x\n", "a: b", "{{ hunter2 }}"
		}
		states, pillar := render(t, "init.sls", map[string]any{"deploytoken": map[string]any{"secrets": secrets}})
		loaded := read(t, "../../deploy/deploytoken.service")
		if kingfisher {
			loaded += read(t, "../../deploy/deploytoken.service.d/kingfisher.conf")
		}
		for _, m := range regexp.MustCompile(`(?m)^LoadCredential=[^:]+:(.*)$`).FindAllStringSubmatch(loaded, -1) {
			file := states[m[1]]["file.managed"]
			if file["contents"] != secrets[filepath.Base(m[1])] || fmt.Sprint(file["mode"]) != "600" {
				t.Errorf("the unit loads %s, of which the state makes %v", m[1], file)
			}
		}
		if _, ok := states["/etc/systemd/system/deploytoken.service.d/kingfisher.conf"]["file.managed"]; ok != kingfisher {
			t.Errorf("the drop-in is there: %v", ok)
		}
		config, err := yaml.Marshal(states["/etc/deploytoken/bot.yaml"]["file.serialize"]["dataset"])
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "bot.yaml")
		write(t, file, string(config), 0o600)
		output(t, "", binary(t), "config", "--config", file)
		version := pillar["deploytoken"].(map[string]any)["version"].(string)
		if source := states["/opt/deploytoken"]["archive.extracted"]["source"].(string); !strings.HasSuffix(source, "/v"+version+"/deploytoken_"+version+"_linux_amd64.tar.gz") {
			t.Errorf("the release comes from %s", source)
		}
	}

	key := "ssh-ed25519 AAAA"
	states, _ := render(t, "kingfisher.sls", map[string]any{"kingfisher_busy": map[string]any{"key": key, "from": "192.0.2.10"}})
	installer := strings.NewReplacer("$user", "kfbusy", "$script", "/usr/local/sbin/kingfisher-busy", "$key", key, "${from}", `from="192.0.2.10",`, `\"`, `"`).
		Replace(read(t, "../../deploy/kingfisher/install.sh"))
	for _, file := range []string{"/var/lib/kfbusy/.ssh/authorized_keys", "/etc/sudoers.d/kingfisher-busy"} {
		if line := states[file]["file.managed"]["contents"].(string); !strings.Contains(installer, `echo "`+line+`"`) {
			t.Errorf("%s: the installer does not write %q", file, line)
		}
	}
	if read(t, "../../deploy/salt/salt/deploytoken/files/kingfisher-busy") != read(t, "../../deploy/kingfisher/kingfisher-busy") {
		t.Error("the state has another script than the installer")
	}
}
