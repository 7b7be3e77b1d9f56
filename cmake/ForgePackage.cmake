# A Debian package of what `cmake --install` lays out: `cpack --config BUILD/CPackConfig.cmake`.

set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)  # packs what was built, and builds no tests for it
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME forge)
set(CPACK_PACKAGE_CONTACT "Forge developers <root@localhost>")
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_SET_DESTDIR ON)  # /etc/forge is outside the prefix
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS systemd)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${CMAKE_SOURCE_DIR}/systemd/deb/conffiles ${CMAKE_SOURCE_DIR}/systemd/deb/postinst
    ${CMAKE_SOURCE_DIR}/systemd/deb/prerm ${CMAKE_SOURCE_DIR}/systemd/deb/postrm)
include(CPack)
