// Package slack is a local Slack.
package slack
