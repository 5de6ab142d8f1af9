// Reads and writes the local Google with Google's clients for Node.js, and prints what it saw as JSON.
import { readFileSync } from 'node:fs'
import { docs, auth } from '@googleapis/docs'
import { drive } from '@googleapis/drive'
import { sheets } from '@googleapis/sheets'

const { GOOGLE_URL, GOOGLE_KEY, DOCUMENT, SPREADSHEET } = process.env
const key = JSON.parse(readFileSync(GOOGLE_KEY, 'utf8'))

// The library always asks Google itself for tokens; one that the key signs needs nobody.
const client = new auth.JWT({
  email: key.client_email,
  key: key.private_key,
  keyId: key.private_key_id,
  scopes: [
    'https://www.googleapis.com/auth/documents',
    'https://www.googleapis.com/auth/spreadsheets',
    'https://www.googleapis.com/auth/drive.metadata.readonly',
  ],
})
client.useJWTAccessWithScope = true

const options = { auth: client, rootUrl: GOOGLE_URL + '/' }
const docsAPI = docs({ version: 'v1', ...options })
const sheetsAPI = sheets({ version: 'v4', ...options })
const driveAPI = drive({ version: 'v3', ...options })
const seen = {}

const refusal = async (promise) => {
  try {
    await promise
  } catch (err) {
    const { code, status, message } = err.response.data.error
    return { code, status, message }
  }
  return null
}

const { data: document } = await docsAPI.documents.get({
  documentId: DOCUMENT, includeTabsContent: true, suggestionsViewMode: 'SUGGESTIONS_INLINE',
})
const paragraph = document.tabs[0].documentTab.body.content.at(-1).paragraph
seen.text = paragraph.elements.map((e) => e.textRun?.content ?? `@${e.person.personProperties.email}`)
const start = paragraph.elements[1].startIndex + 1

const batch = {
  documentId: DOCUMENT,
  requestBody: {
    writeControl: { requiredRevisionId: document.revisionId },
    requests: [
      { insertText: { location: { index: start + 1 }, text: 'Ann' } },
      { deleteContentRange: { range: { startIndex: start + 4, endIndex: start + 9 } } },
      { deleteContentRange: { range: { startIndex: start, endIndex: start + 1 } } },
      { createNamedRange: { name: 'mark', range: { startIndex: start, endIndex: start + 3 } } },
    ],
  },
}
const { data: written } = await docsAPI.documents.batchUpdate(batch)
seen.range = written.replies[3].createNamedRange.namedRangeId
const { data: after } = await docsAPI.documents.get({ documentId: DOCUMENT, fields: 'revisionId,namedRanges' })
seen.sameRevision = after.revisionId === written.writeControl.requiredRevisionId
seen.named = Object.keys(after.namedRanges)
seen.conflict = await refusal(docsAPI.documents.batchUpdate(batch))
seen.mask = await refusal(docsAPI.documents.get({ documentId: DOCUMENT, fields: 'tabs' }))

const row = {
  spreadsheetId: SPREADSHEET,
  requestBody: {
    requests: [
      {
        createDeveloperMetadata: {
          developerMetadata: {
            metadataId: 77, metadataKey: 'entry', metadataValue: 'e1', visibility: 'DOCUMENT', location: { spreadsheet: true },
          },
        },
      },
      {
        appendCells: {
          sheetId: 0,
          fields: 'userEnteredValue',
          rows: [{ values: [{ userEnteredValue: { stringValue: '=1' } }, { userEnteredValue: { stringValue: 'e1' } }] }],
        },
      },
    ],
  },
}
await sheetsAPI.spreadsheets.batchUpdate(row)
seen.duplicate = await refusal(sheetsAPI.spreadsheets.batchUpdate(row))
const { data: appended } = await sheetsAPI.spreadsheets.values.append({
  spreadsheetId: SPREADSHEET, range: "'Log 1'!A1", valueInputOption: 'RAW', insertDataOption: 'INSERT_ROWS',
  requestBody: { values: [['b', 'e2']] },
})
seen.updated = appended.updates.updatedRange
const { data: values } = await sheetsAPI.spreadsheets.values.get({ spreadsheetId: SPREADSHEET, range: "'Log 1'!A:B" })
seen.values = values.values
const { data: metadata } = await sheetsAPI.spreadsheets.developerMetadata.get({ spreadsheetId: SPREADSHEET, metadataId: 77 })
seen.metadata = metadata.metadataValue
seen.badRange = await refusal(sheetsAPI.spreadsheets.values.get({ spreadsheetId: SPREADSHEET, range: 'Gone!A1' }))

const { data: file } = await driveAPI.files.get({
  fileId: DOCUMENT, supportsAllDrives: true, fields: 'name,version,capabilities(canEdit),lastModifyingUser(displayName)',
})
seen.file = file

console.log(JSON.stringify(seen))
