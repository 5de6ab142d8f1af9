package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The health check says what the bot says of itself, and that there is none.
func TestHealth(t *testing.T) {
	w := newWorld(t)
	b := w.serve(t)
	b.isReady(t)
	address := strings.TrimPrefix(b.address, "http://")
	if status, out, errs := w.bot(t, "health", "--address", address); status != 0 || !strings.Contains(out, `"slack":"ok"`) {
		t.Errorf("of a bot that is ready: %d %q %q", status, out, errs)
	}
	_, port, _ := strings.Cut(address, ":")
	w.config["HTTP_ADDRESS"] = ":" + port
	if status, out, errs := w.bot(t, "health"); status != 0 {
		t.Errorf("by the environment: %d %q %q", status, out, errs)
	}
	if status := b.stop(t); status != 0 {
		t.Errorf("the bot ended with %d", status)
	}
	if status, out, errs := w.bot(t, "health"); status != exitFailed || out != "" || !strings.Contains(errs, "does not answer at http://"+address+"/readyz: see that it runs") || strings.Contains(errs, "dial") {
		t.Errorf("without a bot: %d %q %q", status, out, errs)
	}
	if status, _, errs := w.bot(t, "health", "--address", "localhost"); status != exitUsage || !strings.Contains(errs, "host:port") {
		t.Errorf("without a port: %d %q", status, errs)
	}

	// A proxy is never used for this machine's own addresses, but would be for a
	// name that only the container knows.
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer proxy.Close()
	w.config["HTTP_PROXY"] = proxy.URL
	if status, out, _ := w.bot(t, "health", "--address", "bot.invalid:80"); status != exitFailed {
		t.Errorf("a proxy's answer is taken for the bot's: %d %q", status, out)
	}
	delete(w.config, "HTTP_PROXY")

	w.config["HTTP_ADDRESS"] = "127.0.0.1:0"
	w.config["SLACK_API_URL"] = "http://127.0.0.1:1/api/"
	b = w.start(t)
	address = strings.TrimPrefix(b.address, "http://")
	if status, _, errs := w.bot(t, "health", "--address", address); status != exitFailed || !strings.Contains(errs, "not ready: {") {
		t.Errorf("of a bot that is not ready: %d %q", status, errs)
	}
}
