package slackapp

import (
	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// wish is what a watch waits for, to end a sentence of what is, was or will be.
func wish(w *deploytoken.Watch) string {
	if w != nil && w.Free {
		return "Kingfisher is idle and the deploy token free"
	}
	return "Kingfisher is idle"
}

// watched tells a person that what they waited for is so.
func (d teller) watched() (Message, bool) {
	w := matterOf[deploytoken.Watch](d)
	if w == nil || w.Result == deploytoken.WatchStopped {
		return Message{}, false
	}
	first := line{strong("Kingfisher is idle"), words(", and the deploy token is free.")}
	if !w.Free {
		first = line{strong("Kingfisher is idle"), words(": a deployment would interrupt nothing.")}
	}
	if when := d.when(); when != nil {
		first = join(line{words("Kingfisher was idle")}, when, line{words(".")})
		if w.Free {
			first = join(line{words("Kingfisher was idle and the deploy token free")}, when, line{words(".")})
		}
	}
	lines := []line{first}
	if w.WithoutPostgres {
		lines = append(lines, line{words("I didn't look at PostgreSQL.")})
	}
	if t := d.Notice.Token; t != nil && t.State != deploytoken.Free {
		return compose([]group{{lines: append(lines, join(line{words("The ")}, says(d.document(), *t)))}}, []button{waitButton()}), true
	}
	lines = append(lines, line{words("That may change at any time: when you take the token, I look once more. I don't go on looking.")})
	return compose([]group{{lines: lines}}, []button{takeButton(w.ID)}), true
}

// watchEnded tells them that what they waited for didn't come to pass.
func (d teller) watchEnded() (Message, bool) {
	w := matterOf[deploytoken.Watch](d)
	if w == nil || w.Result == deploytoken.WatchStopped || w.Result == deploytoken.WatchSeen {
		return Message{}, false
	}
	subject := ""
	first := line{words("Kingfisher was not idle at any time that I looked since "), moment(w.At), words(".")}
	if w.Free {
		subject = deploytoken.WatchFree
		first = line{words("Kingfisher was not idle, with the deploy token free, at any time that I looked since "), moment(w.At), words(".")}
	}
	return compose([]group{{lines: []line{
		first,
		{words("I have stopped looking. If you still want to know, press the button.")},
	}}}, []button{watchButton(subject)}), true
}

// watchAnswer answers what was asked of a watch, or of the asker's reminders.
func (d teller) watchAnswer() ([]line, []button) {
	switch d.Notice.Outcome {
	case deploytoken.OutcomeUnwatched:
		return []line{{words("I don't look any more, and won't tell you when Kingfisher is idle.")}}, nil
	case deploytoken.OutcomePreferred:
		if p := matterOf[deploytoken.Preference](d); p != nil && p.Direct {
			return []line{{words("From now on, I remind you of the deploy token in a direct message.")}}, nil
		}
		return []line{{words("From now on, I remind you of the deploy token in the channel.")}}, nil
	}
	w := matterOf[deploytoken.Watch](d)
	lines := []line{{words("I'll tell you once, in a direct message, when " + wish(w) + ".")}}
	if w != nil && w.WithoutPostgres {
		lines = append(lines, line{words("I don't look at PostgreSQL for that.")})
	}
	if w != nil && !w.Until.IsZero() {
		lines = append(lines, line{words("If that isn't so by "), moment(w.Until), words(", I stop looking, and tell you.")})
	}
	return lines, []button{unwatchButton()}
}

// watchPast says in the past tense what came of asking for that.
func (d teller) watchPast() line {
	switch d.Notice.Outcome {
	case deploytoken.OutcomeUnwatched:
		return line{words("I stopped looking.")}
	case deploytoken.OutcomePreferred:
		return line{words("That was changed.")}
	}
	return line{words("I began to look.")}
}
