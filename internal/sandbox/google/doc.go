// Package google is a local Google: documents, spreadsheets, Drive's record of files and the OAuth token
// endpoint, which Google's own client libraries take for the real thing, and which people edit through Go
// or HTTP. It answers with Google's errors, and goes wrong on demand in the ways that Google does.
//
// A client's endpoint is URL()+"/" for Docs and Sheets, URL()+"/drive/v3/" for Drive. It signs in with the
// file that CredentialsJSON makes, at the token endpoint or with a token that it signs itself. Files live
// in memory and are gone with the Server.
//
// # What it holds
//
// NewDocument makes a document of tabs (nested, too), paragraphs, tables, tables of contents and section
// breaks; of text in runs of one style, person chips, links, dates and images; and of pending suggestions.
// Its indexes are UTF-16 code units, as Google's: one for each part of structure and each element.
// NewSpreadsheet makes a spreadsheet of tabs with typed values, number formats and developer metadata.
// Formulas are kept and not computed: they show "Loading...".
//
// People edit through the handles Document and Spreadsheet: one edit is one revision, typing one for each
// key. BeforeNextBatch puts a person's edit between a program's reading and its writing;
// MergeIntoNextBatch makes one that was under way in a browser merge with what the program wrote.
//
// Writes tells who changed what, and which revision a batch was guarded by; Requests tells which revision
// each read saw. Together they show whether anything was overwritten that its writer had not read.
//
// # What is served
//
// Docs: documents.get and documents.batchUpdate, with insertText, deleteContentRange, createNamedRange,
// deleteNamedRange, replaceNamedRangeContent, replaceAllText and updateTextStyle, in the body of any tab.
// Sheets: spreadsheets.get, values.get, batchGet, update and append, developerMetadata.get and search (by
// lookups), and spreadsheets.batchUpdate with addSheet, deleteSheet, updateSheetProperties,
// updateSpreadsheetProperties, appendCells, updateCells, repeatCell, insertDimension, appendDimension,
// deleteDimension, createDeveloperMetadata and deleteDeveloperMetadata. Drive: files.get. What else Google
// has is answered by 501 UNIMPLEMENTED; what it doesn't have, by its 400 or 404. There are no headers,
// footers, footnotes and comments to read, and no writes as suggestions or onto a target revision.
//
// # Where Google says nothing
//
//   - The status of a revision mismatch, the answer to duplicate metadata IDs, and whether the answer to a
//     batch has the new revision: Behavior.
//   - A required revision that was never given to the account, or over 24 hours ago, is answered by a 400
//     "The revision ID '…' is invalid or has expired.", which is this package's wording.
//   - Text inserted at the start of a named range comes before the range, and at its end, after it.
//   - deleteNamedRange is refused for an unknown ID and does nothing for an unknown name.
//   - A mask that is * alone is refused like tabs, for it takes in the fields of comments.
//   - The messages for half a surrogate pair and for parts of tables are this package's wording.
//   - Text inserted at the end of a link isn't linked.
//
// # Control over HTTP
//
// Another process does the same under /sandbox/. Requests and answers are JSON; what could not be done is
// answered by status 400 and {"error": "why"}. WHO is {name, email}, EDIT an Edit, durations are "500ms".
//
//	GET  state                  the State; with ?after=NUMBER, once something has changed since, or after 30 s
//	GET  events                 the changes from now on, as server-sent events
//	GET  requests               the last 10,000 requests
//	GET  writes                 the last 10,000 changes of files
//
//	POST account                an Account to add
//	POST document               a DocumentSpec; answers {id}
//	POST spreadsheet            a SpreadsheetSpec; answers {id}
//	POST share                  {file, account, role}
//	POST delete, restore        {file}
//	POST revoke_tokens, delete_key   {account}
//
//	POST edit                   {document, who: WHO, edit: EDIT}
//	POST type                   {document, who: WHO, tab, index, text, every}, or holder: true for tab and index
//	POST before_next_batch      {document, who: WHO, edit: EDIT}
//	POST merge_into_next_batch  {document, who: WHO, edit: EDIT, delay}
//	POST edit_spreadsheet       {spreadsheet, who: WHO, edit: a SheetEdit}
//	POST stale_reads            {spreadsheet, for}; "0s" ends it
//
//	POST   faults               a Fault; answers {id}
//	POST   release              {id}
//	DELETE faults               all; with ?id=, one
//	POST   behavior             a Behavior, in place of what there was
//	POST   quotas               Quotas, in place of what there were
package google
