// Package google is a local Google for demos and tests: documents, spreadsheets, Drive's file records and
// the OAuth token endpoint, over HTTP, for Google's own client libraries. It keeps to what is documented
// and to what was seen of the real APIs; where those leave a question open, Behavior chooses.
package google
