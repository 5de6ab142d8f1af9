package deploytoken

import (
	"context"
	"fmt"
)

// Draft reports whether the holding lasts and is known to be the person's, and
// returns the words that its release may begin with: those of the command of
// that ID, if it was a release of the person's, or what the holding is for where
// command is "". Who holds the token by the document is left to the release
// itself.
// Errors: ErrUnavailable.
func (s *Service) Draft(ctx context.Context, person, holding, command string) (words string, theirs bool, err error) {
	h, err := s.ledger.Holding(ctx, holding)
	if err != nil {
		return "", false, fmt.Errorf("looking up what is to be released: %w", err)
	}
	theirs = h.Open() && h.PersonID != "" && h.PersonID == person
	switch {
	case command != "":
		c, _, err := s.ledger.Command(ctx, command)
		if err != nil {
			return "", theirs, fmt.Errorf("looking up an earlier release: %w", err)
		}
		if c != nil && c.PersonID == person && c.Kind == KindRelease {
			words = c.Words
		}
	case theirs:
		words = h.Purpose
	}
	return words, theirs, nil
}
