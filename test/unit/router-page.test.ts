import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { answerTo, type Code, formOf, pageOf } from '../../router/page.ts'

const route = { errorPage: 'https://pages.example/error.html?a=1&b=2', maintenancePage: '//pages.example/maintenance' }

const shown = (code: Code, accept?: string, pages: Parameters<typeof formOf>[1] = route): string =>
  pageOf(answerTo(code), { ...formOf(code, pages, accept), requestId: 'ID' }).body

const BROWSER = 'text/html,application/xhtml+xml,*/*;q=0.8'

test('an app’s own page is shown in a frame to everybody who can take HTML', () => {
  for (const accept of [BROWSER, '*/*', 'text/*', undefined]) {
    assert.match(shown('H12', accept), '<iframe src="https://pages.example/error.html?a=1&#38;b=2"')
    assert.match(shown('H80', accept), '<iframe src="//pages.example/maintenance"')
  }
  assert.match(shown('H12', 'application/json'), /^Application error\n\n/)
})

test('what the client did wrong, and an app where nothing was deployed, keep the page of the platform', () => {
  for (const code of ['H26', 'H81'] as const) assert.not.match(shown(code, BROWSER), 'iframe')
})

test('a page of one kind is none of the other', () => {
  assert.not.match(shown('H80', BROWSER, { errorPage: route.errorPage }), 'iframe')
  assert.not.match(shown('H12', BROWSER, { maintenancePage: route.maintenancePage }), 'iframe')
})

test('what is no web address, or could break out of its attribute, is not shown', () => {
  for (const errorPage of [
    'javascript:alert(1)',
    'data:text/html,x',
    '/etc/passwd',
    'https://a b',
    'https://a\n',
    'https://ä',
    `https://${'a'.repeat(2001)}`,
  ])
    assert.not.match(shown('H12', BROWSER, { errorPage }), 'iframe')
  const body = shown('H12', BROWSER, { errorPage: `https://a/"'><script>` })
  assert.match(body, 'src="https://a/&#34;&#39;&#62;&#60;script&#62;"')
})

test('the platform’s own pages are HTML for those who ask for it, else text', () => {
  assert.match(shown('H12', BROWSER, {}), /^<!DOCTYPE html>[\s\S]*<h1>Application error<\/h1>/)
  assert.match(shown('H12', '*/*', {}), /^Application error\n\n.*\(H12: Request timeout\)/)
  assert.match(shown('H80', undefined, {}), /^Offline for Maintenance\n/)
})

test('pages are ASCII, because their length is told in bytes', () => {
  for (const body of [shown('H12', BROWSER), shown('H12', BROWSER, {}), shown('H81')]) {
    assert.is(Buffer.byteLength(body), body.length)
    assert.ok(body.length < 1500)
  }
})

test.run()
