# ruff: noqa: E501
"""Texts that try to run script, or to make a browser ask another host: 200 and more. `RUN` is what they would do."""

from itertools import product

RUN = "top.ran()"

_TAGS = [
    f"<script>{RUN}</script>", f"<SCRIPT>{RUN}</SCRIPT>", f"<scr<script>ipt>{RUN}</scr</script>ipt>",
    f"<script/x>{RUN}</script>", f"<script src='data:text/javascript,{RUN}'></script>",
    f"<svg><script>{RUN}</script></svg>", f"<svg><script href='data:text/javascript,{RUN}'/></svg>",
    f"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror={RUN}&gt;'>",
    f"<noscript><p title='</noscript><img src=x onerror={RUN}>'>", f"<template><script>{RUN}</script></template>",
    f"<iframe srcdoc='<script>{RUN}</script>'></iframe>", f"<iframe src='javascript:{RUN}'></iframe>",
    f"<object data='javascript:{RUN}'></object>", f"<embed src='javascript:{RUN}'>", f"<base href='javascript:{RUN}//'>",
    f"<form action='javascript:{RUN}'><button>x</button></form>", f"<button formaction='javascript:{RUN}'>x</button>",
    f"<isindex action='javascript:{RUN}' type=image>", f"<meta http-equiv=refresh content='0;url=javascript:{RUN}'>",
    f"<link rel=stylesheet href='data:text/css,*{{background:url(javascript:{RUN})}}'>",
    f"<style>@import 'javascript:{RUN}'</style>", f"<style>*{{background:url('http://evil.test/{RUN}')}}</style>",
    f"<div style=\"background:url('javascript:{RUN}')\">x</div>", f"<div style='width:expression({RUN})'>x</div>",
    f"<table background='javascript:{RUN}'><tr><td>x</table>", f"<xml id=x><script>{RUN}</script></xml>",
    f"<!--<img src='--><img src=x onerror={RUN}//'>", f"<![CDATA[<img src=x onerror={RUN}>]]>",
    f"<?xml-stylesheet href='javascript:{RUN}'?>", f"<!DOCTYPE x [<!ENTITY e '<script>{RUN}</script>'>]>&e;",
    f"</title><script>{RUN}</script>", f"</textarea><script>{RUN}</script>", f"</pre></div><script>{RUN}</script>",
    f"\"><script>{RUN}</script>", f"'><img src=x onerror={RUN}>", f"`-{RUN}-`", f"{{{{{RUN}}}}}", "{{7*7}}{% raw %}",
    f"<svg><a xlink:href='javascript:{RUN}'><text y=20>x</text></a></svg>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>", f"<svg><set attributeName=href to='javascript:{RUN}'/></svg>",
    f"<svg><foreignObject><iframe srcdoc='<script>{RUN}</script>'/></foreignObject></svg>",
    f"<svg><use href='data:image/svg+xml,<svg id=x><script>{RUN}</script></svg>#x'/></svg>",
    f"<math href='javascript:{RUN}'>x</math>", f"<math><maction actiontype=statusline xlink:href='javascript:{RUN}'>x",
    f"<select><style></select><img src=x onerror={RUN}></style>", f"<p><svg><style><a title='</style><img src=x onerror={RUN}>'>",
    "<img src='http://evil.test/track.gif'>", "![track](http://evil.test/track.png)", "![](//evil.test/t.png)",
    "<video poster='http://evil.test/p.png'>", "<picture><source srcset='http://evil.test/s.png'></picture>",
    "<audio src='http://evil.test/a.mp3' autoplay>", "<input type=image src='http://evil.test/i.png'>",
    "<link rel=prefetch href='http://evil.test/l'>", "<bgsound src='http://evil.test/b.wav'>",
    "<img srcset='http://evil.test/s.png 2x'>", "<image href='http://evil.test/i.png'>",
    "<frameset><frame src='http://evil.test/f'></frameset>", "<portal src='http://evil.test/p'></portal>",
    f"<img src=x:{RUN} onerror=eval(src.slice(2))>", f"<img/src=x/onerror={RUN}>", f"<img src='x'onerror='{RUN}'>",
    f"<img src=x onerror=\n={RUN}>", f"<IMG \"\"\"><SCRIPT>{RUN}</SCRIPT>\">", f"<a href=x onfocus={RUN} autofocus tabindex=1>x</a>",
    f"<div id=main onclick={RUN}>x</div>", "<form id=copy-cli><input name=textContent></form>", "<a id=top name=ran href=x>x</a>",
    f"<plaintext><script>{RUN}</script>", f"<xmp><p title='</xmp><script>{RUN}</script>'>", f"<title><img src=x onerror={RUN}></title>",
    f"<ruby><rt><img src=x onerror={RUN}>", f"<dialog open onclose={RUN}><form method=dialog>", "<a ping='http://evil.test/p' href='http://x.test'>x</a>",
    f"<menu onshow={RUN}>", f"\u202e<script>{RUN}</script>", f"\ufeff<script>{RUN}</script>", f"<scr\x00ipt>{RUN}</script>",
]  # fmt: skip

_SCHEMES = [
    f"javascript:{RUN}", f"JaVaScRiPt:{RUN}", f" javascript:{RUN}", f"java\tscript:{RUN}", f"java\nscript:{RUN}",
    f"&#106;avascript:{RUN}", f"javascript&colon;{RUN}", f"\x01javascript:{RUN}", f"vbscript:{RUN}",
    f"data:text/html,<script>{RUN}</script>", "data:text/html;base64,PHNjcmlwdD50b3AucmFuKCk8L3NjcmlwdD4=",
    f"blob:http://x/{RUN}", f"file:///etc/passwd#{RUN}", f"//evil.test/{RUN}", f"\\\\evil.test\\{RUN}",
    f"http://x\" onmouseover=\"{RUN}", f"feed:javascript:{RUN}", f"view-source:javascript:{RUN}",
]  # fmt: skip

_LINKS = [
    template.replace("URL", scheme)
    for template, scheme in product(('<a href="URL">x</a>', "[x](URL)", "<URL>", "[x]: URL\n\n[x]"), _SCHEMES)
]

_EVENTS = [
    f"<{tag} {event}={RUN}>x</{tag}>"
    for tag, event in [
        ("img src=x", "onerror"), ("body", "onload"), ("svg", "onload"), ("video src=x", "onerror"), ("audio src=x", "onerror"),
        ("details open", "ontoggle"), ("marquee", "onstart"), ("input autofocus", "onfocus"), ("select autofocus", "onfocus"),
        ("textarea autofocus", "onfocus"), ("keygen autofocus", "onfocus"), ("iframe", "onload"), ("object", "onerror"),
        ("p", "onpointerenter"), ("h1", "onclick"), ("table", "onmouseover"), ("a href=#", "onclick"), ("pre", "oncopy"),
        ("code", "onwheel"), ("summary", "onclick"), ("li", "onanimationstart"), ("blockquote", "onbeforematch hidden=until-found"),
        ("x", "onscrollend"), ("style", "onload"), ("link rel=stylesheet href=x", "onerror"), ("script src=x", "onerror"),
    ]
] + [f"<img src=x {sep}onerror{eq}{RUN}>" for sep, eq in product(("\t", "/", "\x0c"), ("=", " = ", "\t=\n"))]  # fmt: skip

_MARKDOWN = [
    f"![x](x\"onerror={RUN}//)", f"![x\"onerror=\"{RUN}](x)", f"[x](http://x 'a\"onmouseover={RUN}')", f"```{RUN}\"><script>{RUN}</script>\n```",
    f"| <script>{RUN}</script> |\n| --- |\n| <img src=x onerror={RUN}> |", f"# <img src=x onerror={RUN}>", f"- <svg onload={RUN}>",
    f"> <script>{RUN}</script>", f"<details><summary onclick={RUN}>x</summary>", f"[<img src=x onerror={RUN}>](http://x.test)",
    f"~~<b onclick={RUN}>x</b>~~", f"http://x.test/\"onmouseover=\"{RUN}", f"www.x.test/<script>{RUN}</script>", f"<http://x.test/'onclick='{RUN}'>",
    f"[x](<javascript:{RUN}>)", f"[x](http://x.test \"<table><img src=x onerror={RUN}>\")", f"`<script>{RUN}</script>`",
    f"[a](http://x.test \"</table><script>{RUN}</script>\")", f"[a](http://x.test '<h1>\" onclick={RUN} x=\"')", f"&lt;script&gt;{RUN}&lt;/script&gt;",
]  # fmt: skip

ATTACKS = tuple(dict.fromkeys([*_TAGS, *_LINKS, *_EVENTS, *_MARKDOWN]))
assert len(ATTACKS) >= 200
