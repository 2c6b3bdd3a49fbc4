import pytest
from hypothesis import given
from hypothesis import strategies as st

from nugetproxy.nuget.framework import Framework, find_framework, short_framework_name


@pytest.mark.parametrize(
    ("short", "written"),
    [
        ("net45", "net45"),
        ("net45", ".NETFramework4.5"),
        ("net45", ".NETFramework,Version=v4.5"),
        ("net45", "net4.5"),
        ("net40", "net4"),
        ("net40", ".NETFramework4.0"),
        ("net403", ".NETFramework4.0.3"),
        ("net472", ".NETFramework4.7.2"),
        ("net40-client", ".NETFramework,Version=v4.0,Profile=Client"),
        ("net40", ".NETFramework4.0-Full"),
        ("netstandard2.0", ".NETStandard2.0"),
        ("netstandard2.0", "NetStandard2.0"),
        ("netstandard1.3", "netstandard13"),
        ("netcoreapp3.1", ".NETCoreApp3.1"),
        ("net5.0", ".NETCoreApp5.0"),
        ("net5.0", "net50"),
        ("net8.0", "net8.0"),
        ("net10.0", "net10.0"),
        ("net6.0-windows7.0", "net6.0-windows7.0"),
        ("net6.0-windows7.0", "net6.0-Windows7.0"),
        ("win8", "Windows8.0"),
        ("win81", "Windows8.1"),
        ("wp8", "WindowsPhone8.0"),
        ("wpa81", "WindowsPhoneApp8.1"),
        ("sl4", "Silverlight4.0"),
        ("sl4-wp71", "Silverlight,Version=v4.0,Profile=WindowsPhone71"),
        ("uap10.0", "UAP10.0"),
        ("uap10.0.16299", "uap10.0.16299"),
        ("monoandroid10", "MonoAndroid1.0"),
        ("xamarinios10", "Xamarin.iOS1.0"),
        ("xamarinios", "Xamarin.iOS"),
        ("dnxcore50", "DNXCore5.0"),
        ("dotnet5.4", ".NETPlatform5.4"),
        ("native", "native0.0"),
        ("any", "any"),
        ("portable-net45+win8+wp8+wpa81", ".NETPortable0.0-Profile259"),
        ("portable-net45+win8+wp8+wpa81", ".NETPortable,Version=v4.5,Profile=Profile259"),
        ("portable-net45+win8+wp8+wpa81", "portable-net45+wp8+win8+wpa81"),
        ("portable-net40+sl5+win8", ".NETPortable0.0-Profile37"),
        ("portable-net45+made", "portable-net45+made"),
    ],
)
def test_the_short_form(short, written):
    assert short == short_framework_name(written)


@pytest.mark.parametrize(
    ("long", "written"),
    [
        (".NETFramework4.5", "net45"),
        (".NETFramework4.0", "net4"),
        (".NETFramework4.7.2", "net472"),
        (".NETStandard2.0", "netstandard2.0"),
        (".NETCoreApp3.1", "netcoreapp3.1"),
        ("net8.0", ".NETCoreApp8.0"),
        (".NETPortable0.0-Profile259", "portable-net45+win8+wp8+wpa81"),
        ("Silverlight4.0-WindowsPhone71", "sl4-wp71"),
    ],
)
def test_the_long_form(long, written):
    framework = find_framework(written)

    assert framework is not None
    assert long == framework.long


def test_two_forms_are_one_framework():
    assert find_framework(".NETFramework4.5") == find_framework("net45") == Framework(".NETFramework", (4, 5, 0, 0))


@pytest.mark.parametrize("text", ["", "brainfuck1.0", "net4.5.6.7.8", "net4..5", "portable", "net45 net46", "x" * 300])
def test_an_unknown_framework_is_unchanged(text):
    """
    A newer client may know it.
    """
    assert find_framework(text) is None
    assert text == short_framework_name(text)


@given(
    st.text(max_size=40)
    | st.from_regex(r"(?i)(net|\.NETPortable|uap|sl)[0-9.]{0,9}(-[a-z0-9+.]{0,12})?", fullmatch=True)
)
def test_the_short_form_of_the_short_form_is_itself(text):
    short = short_framework_name(text)

    assert short == short_framework_name(short)
